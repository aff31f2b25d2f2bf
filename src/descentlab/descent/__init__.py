"""How a step is made, without data: settings, reductions, schedules, optimizers, one direction's recursion."""

from descentlab.descent.descent import Descent

__all__ = ["Descent"]
