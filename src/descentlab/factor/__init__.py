"""Factor data: reduce any number of rows to a small QR factor, merge factors, and store them."""

from descentlab.factor.build import build_factor
from descentlab.factor.executors.base import Executor
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import Factor
from descentlab.factor.incremental import IncrementalFactor

__all__ = ["Executor", "Factor", "IncrementalFactor", "Threads", "build_factor"]
