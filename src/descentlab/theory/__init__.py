"""What follows without a run: bound, limit point, settling time, overflow, optimal rates, sweeps, mini-batches."""

from descentlab.theory.full_batch import FullBatchTheory
from descentlab.theory.settling_time import ConvergenceCriterion
from descentlab.theory.sweep import Sweep

__all__ = ["ConvergenceCriterion", "FullBatchTheory", "Sweep"]
