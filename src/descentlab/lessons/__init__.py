"""Lessons: a first course in gradient descent, in which every number is computed when it is read."""

from descentlab.lessons.render.notebook import Opened, opened

__all__ = ["Opened", "opened"]
