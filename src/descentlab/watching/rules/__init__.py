"""The rules that turn an observation of a loop into findings."""
