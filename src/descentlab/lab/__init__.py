"""The lab: a page on which gradient descent can be seen, predicted and broken."""
