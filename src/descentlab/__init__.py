"""descentlab runs, predicts and explains gradient descent on linear least squares.

>>> import descentlab as dl
>>> run = dl.descend(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.01, reduction="sum", epochs=3)
>>> print(run.table())
Epoch:    1/3 W: 0.000, Cost: 4.666667
Epoch:    2/3 W: 0.280, Cost: 2.419200
Epoch:    3/3 W: 0.482, Cost: 1.254113
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from descentlab.descent.descent import Descent
from descentlab.doctor.diagnose import diagnose
from descentlab.doctor.diagnosis import Diagnosis
from descentlab.doctor.finding import Finding
from descentlab.errors import (
    DataError,
    DescentlabError,
    DivergenceError,
    EngineError,
    MissingDependencyError,
    SettingError,
)
from descentlab.factor.compress import compress
from descentlab.factor.executors.threads import Threads
from descentlab.factor.factor import Factor
from descentlab.lab import register as _register  # noqa: F401 (attaches .lab() to Problem, Run and Diagnosis)
from descentlab.model_selection.cross_validate import cross_validate
from descentlab.model_selection.cross_validation import CrossValidation
from descentlab.model_selection.splitting import split
from descentlab.model_selection.validation import Validation, validate
from descentlab.problem.minimum import Minimum
from descentlab.problem.problem import Problem
from descentlab.problem.spectrum import Spectrum
from descentlab.run.descend import descend
from descentlab.run.ending import Ending, Reason
from descentlab.run.history import History
from descentlab.run.run import Run
from descentlab.theory.sweep import Sweep, sweep

if TYPE_CHECKING:
    from descentlab.factor.executors.dask import Dask
    from descentlab.factor.executors.torch_device import Gpu
    from descentlab.lab.lab import Lab
    from descentlab.theory.minibatch.expected_cost import ExpectedCost, expected_cost
    from descentlab.watching.watch import watch

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
    "ExpectedCost",
    "Factor",
    "Finding",
    "Gpu",
    "History",
    "Lab",
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
    "expected_cost",
    "split",
    "sweep",
    "validate",
    "watch",
]

# What few programs use loads when it is first asked for.
_LAZY_MODULES = {
    "Dask": "descentlab.factor.executors.dask",
    "ExpectedCost": "descentlab.theory.minibatch.expected_cost",
    "Gpu": "descentlab.factor.executors.torch_device",
    "Lab": "descentlab.lab.lab",
    "expected_cost": "descentlab.theory.minibatch.expected_cost",
    "watch": "descentlab.watching.watch",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A name of :data:`_LAZY_MODULES`, or ``expect``, the old name of ``expected_cost``, which warns once."""
        if name == "expect":
            warnings.warn("dl.expect is now called dl.expected_cost", DeprecationWarning, stacklevel=2)
        elif name not in _LAZY_MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        current = "expected_cost" if name == "expect" else name
        globals()[name] = value = getattr(import_module(_LAZY_MODULES[current]), current)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
