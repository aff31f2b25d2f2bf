"""A fitted model: the file that keeps it, predictions for new rows, SQL text, and the comparison of two models."""
