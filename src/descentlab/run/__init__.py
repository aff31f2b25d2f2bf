"""The loop over epochs, the history it records, and why a run ended."""

from descentlab.run.run import Run

__all__ = ["Run"]
