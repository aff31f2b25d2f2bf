"""The design of a hypothesis: which columns of Z are computed from which columns of the data, block by block."""
