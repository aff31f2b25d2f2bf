"""The lab: a page on which one can watch gradient descent, predict it and make it diverge."""
