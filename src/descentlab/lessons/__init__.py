"""Lessons: a first course in gradient descent, in which every number is computed when it is read."""

from descentlab.lessons.render.notebook import NotebookLesson, open_lesson

__all__ = ["NotebookLesson", "open_lesson", "opened"]

opened = open_lesson  # its name in notebooks that were written before
