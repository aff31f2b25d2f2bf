"""The exact expectation of the cost under mini-batches that are drawn with replacement."""
