"""The cost: the columns that are fitted, the cost as a quadratic, its spectrum and its minimum."""

from descentlab.problem.minimum import Minimum
from descentlab.problem.problem import Problem
from descentlab.problem.spectrum import Spectrum
from descentlab.problem.statistics import Statistics

__all__ = ["Minimum", "Problem", "Spectrum", "Statistics"]
