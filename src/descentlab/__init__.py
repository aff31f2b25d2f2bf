"""descentlab runs, predicts and explains gradient descent on linear least squares.

>>> import descentlab as dl
>>> run = dl.descend(dl.Problem([1, 2, 3], [1, 2, 3], bias=False), lr=0.01, reduction="sum", epochs=3)
>>> print(run.table())
Epoch:    1/3 W: 0.000, Cost: 4.666667
Epoch:    2/3 W: 0.280, Cost: 2.419200
Epoch:    3/3 W: 0.482, Cost: 1.254113
"""

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than the rest of this file

if TYPE_CHECKING:
    from descentlab.descent.descent import Descent as Descent
    from descentlab.doctor.diagnose import diagnose as diagnose
    from descentlab.doctor.diagnosis import Diagnosis as Diagnosis
    from descentlab.doctor.finding import Finding as Finding
    from descentlab.errors import DataError as DataError
    from descentlab.errors import DescentlabError as DescentlabError
    from descentlab.errors import DivergenceError as DivergenceError
    from descentlab.errors import EngineError as EngineError
    from descentlab.errors import MissingDependencyError as MissingDependencyError
    from descentlab.errors import SettingError as SettingError
    from descentlab.factor.compress import compress as compress
    from descentlab.factor.executors.dask import Dask as Dask
    from descentlab.factor.executors.threads import Threads as Threads
    from descentlab.factor.executors.torch_device import Gpu as Gpu
    from descentlab.factor.factor import Factor as Factor
    from descentlab.lab.lab import Lab as Lab
    from descentlab.model.model import Model as Model
    from descentlab.model_selection.cross_validate import cross_validate as cross_validate
    from descentlab.model_selection.cross_validation import CrossValidation as CrossValidation
    from descentlab.model_selection.splitting import split as split
    from descentlab.model_selection.validation import Validation as Validation
    from descentlab.model_selection.validation import validate as validate
    from descentlab.problem.minimum import Minimum as Minimum
    from descentlab.problem.problem import Problem as Problem
    from descentlab.problem.spectrum import Spectrum as Spectrum
    from descentlab.run.descend import descend as descend
    from descentlab.run.ending import Ending as Ending
    from descentlab.run.ending import Reason as Reason
    from descentlab.run.history import History as History
    from descentlab.run.run import Run as Run
    from descentlab.theory.minibatch.expected_cost import ExpectedCost as ExpectedCost
    from descentlab.theory.minibatch.expected_cost import expected_cost as expected_cost
    from descentlab.theory.sweep import Sweep as Sweep
    from descentlab.theory.sweep import sweep as sweep
    from descentlab.watching.watch import watch as watch

__version__ = "0.1.0"

# The module of each public name. It loads when the name is first asked for.
_MODULES = {
    "CrossValidation": "descentlab.model_selection.cross_validation",
    "Dask": "descentlab.factor.executors.dask",
    "DataError": "descentlab.errors",
    "Descent": "descentlab.descent.descent",
    "DescentlabError": "descentlab.errors",
    "Diagnosis": "descentlab.doctor.diagnosis",
    "DivergenceError": "descentlab.errors",
    "Ending": "descentlab.run.ending",
    "EngineError": "descentlab.errors",
    "ExpectedCost": "descentlab.theory.minibatch.expected_cost",
    "Factor": "descentlab.factor.factor",
    "Finding": "descentlab.doctor.finding",
    "Gpu": "descentlab.factor.executors.torch_device",
    "History": "descentlab.run.history",
    "Lab": "descentlab.lab.lab",
    "Minimum": "descentlab.problem.minimum",
    "Model": "descentlab.model.model",
    "MissingDependencyError": "descentlab.errors",
    "Problem": "descentlab.problem.problem",
    "Reason": "descentlab.run.ending",
    "Run": "descentlab.run.run",
    "SettingError": "descentlab.errors",
    "Spectrum": "descentlab.problem.spectrum",
    "Sweep": "descentlab.theory.sweep",
    "Threads": "descentlab.factor.executors.threads",
    "Validation": "descentlab.model_selection.validation",
    "compress": "descentlab.factor.compress",
    "cross_validate": "descentlab.model_selection.cross_validate",
    "descend": "descentlab.run.descend",
    "diagnose": "descentlab.doctor.diagnose",
    "expected_cost": "descentlab.theory.minibatch.expected_cost",
    "split": "descentlab.model_selection.splitting",
    "sweep": "descentlab.theory.sweep",
    "validate": "descentlab.model_selection.validation",
    "watch": "descentlab.watching.watch",
}
_PACKAGES = (
    *("data", "descent", "doctor", "engines", "errors", "factor", "lab", "messages", "model", "model_selection"),
    *("problem", "run", "theory", "typing"),
)

__all__ = sorted(_MODULES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A public name or a subpackage; ``expect``, the old name of ``expected_cost``, warns once."""
        from importlib import import_module

        if name in _PACKAGES:
            return import_module(f"{__name__}.{name}")
        if name == "expect":
            import warnings

            warnings.warn("dl.expect is now called dl.expected_cost", DeprecationWarning, stacklevel=2)
        elif name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        current = "expected_cost" if name == "expect" else name
        globals()[name] = value = getattr(import_module(_MODULES[current]), current)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
