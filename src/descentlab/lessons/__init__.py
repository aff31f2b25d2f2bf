"""Lessons: a first course in gradient descent, in which every number is computed when it is read."""
