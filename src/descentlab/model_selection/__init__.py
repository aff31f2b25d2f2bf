"""Held-out rows and folds, from factors alone."""
