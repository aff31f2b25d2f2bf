"""Checks of one loop while it runs: loss graph, gradients, modes, batches."""
