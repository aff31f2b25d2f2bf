"""The cost: which columns are fitted, as a quadratic, with its spectrum and its minimum."""
