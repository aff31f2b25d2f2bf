"""Findings about one descent: its outcome, its run and its data."""
