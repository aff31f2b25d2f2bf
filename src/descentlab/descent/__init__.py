"""Steps without data: settings, reductions, schedules, optimizers, and the recursion of one eigendirection."""

from descentlab.descent.descent import Descent

__all__ = ["Descent"]
