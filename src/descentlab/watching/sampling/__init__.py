"""Quantities by layer, parameter and batch, measured at a few steps only: 1, 2, 3, 5, 9, 17 and so on.

A step that is not sampled costs nothing. Numbers stay tensors until a report is asked for, so that nothing waits for a
device.
"""
