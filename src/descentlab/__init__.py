"""descentlab runs, predicts and explains gradient descent on linear least squares.

>>> import descentlab as dl
>>> run = dl.descend(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.01, reduction="sum", epochs=3)
>>> print(run.table())
Epoch:    1/3 W: 0.000, Cost: 4.666667
Epoch:    2/3 W: 0.280, Cost: 2.419200
Epoch:    3/3 W: 0.482, Cost: 1.254113
"""

from descentlab.cluster import Dask
from descentlab.compression import Threads
from descentlab.descent import Descent
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.examination import diagnose
from descentlab.doctor.finding import Finding
from descentlab.doctor.folds.cross_validate import cross_validate, split
from descentlab.doctor.folds.crossvalidation import CrossValidation
from descentlab.doctor.folds.validation import Validation, validate
from descentlab.doctor.sweep import Sweep, sweep
from descentlab.ending import Ending, Reason
from descentlab.errors import (
    DataError,
    DescentlabError,
    DivergenceError,
    EngineError,
    MissingDependencyError,
    SettingError,
)
from descentlab.factor import Factor
from descentlab.gpu import Gpu
from descentlab.history import History
from descentlab.keeping import compress
from descentlab.minimum import Minimum
from descentlab.problem import Problem
from descentlab.run import Run, descend
from descentlab.spectrum import Spectrum
from descentlab.stochastic.expectation import Expectation, expect
from descentlab.watching.instrument import watch

__version__ = "0.1.0"

__all__ = [
    "CrossValidation",
    "Dask",
    "DataError",
    "Descent",
    "DescentlabError",
    "Diagnosis",
    "DivergenceError",
    "Ending",
    "EngineError",
    "Expectation",
    "Factor",
    "Finding",
    "Gpu",
    "History",
    "Minimum",
    "MissingDependencyError",
    "Problem",
    "Reason",
    "Run",
    "SettingError",
    "Spectrum",
    "Sweep",
    "Threads",
    "Validation",
    "compress",
    "cross_validate",
    "descend",
    "diagnose",
    "expect",
    "split",
    "sweep",
    "validate",
    "watch",
]
