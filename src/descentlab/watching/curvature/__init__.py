"""Curvature of the loss and the stability limit of the optimizer."""
