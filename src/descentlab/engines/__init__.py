"""Engines move a parameter vector: in closed form, by NumPy, by compiled loops or by ``torch.optim``.

They neither record epochs nor decide when a run ends: :mod:`descentlab.run` does. Every engine has the methods of
:class:`Engine` and declares in ``limits`` what it cannot do. To add one, write ``engines/name.py`` with a class
``Name`` and add the name to :data:`ENGINE_NAMES` and :data:`AUTO_ORDER`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from descentlab.descent.descent import Descent
from descentlab.engines.base import Engine, Snapshots, unsupported_reason
from descentlab.errors import EngineError, check_choice
from descentlab.problem.problem import Problem

__all__ = ["Engine", "Snapshots", "make_engine"]

ENGINE_NAMES = ("hand", "minibatch", "autograd", "exact", "replay")
AUTO_ORDER = ("exact", "minibatch", "hand", "autograd", "replay")  # `auto` is the first of these that can
HAND_SECONDS_PER_STEP = 1e-5  # of the engine hand, roughly
HAND_SECONDS_PER_VALUE = 1e-9  # of the engine hand, for each number that a step reads
COMPILE_WORTH_SECONDS = 2.0  # seconds of `hand` from which on `auto` waits for minibatch to compile


def make_engine(name: str, problem: Problem, descent: Descent) -> Engine:
    """The engine of that name, not yet initialized; ``auto`` is the first of :data:`AUTO_ORDER` that can.

    ``auto`` skips minibatch if numba is not installed or the work is too little to compile for.

    Raises:
        EngineError: the engine cannot do what the settings ask, with the reason; for ``auto``, that of the last one.
        SettingError: there is no such engine.
    """
    names = AUTO_ORDER if check_choice("engine", name, (*ENGINE_NAMES, "auto")) == "auto" else (name,)
    for candidate in names:
        if name == "auto" and candidate == "minibatch" and not _is_worth_compiling(problem, descent):
            continue
        engine: Engine = getattr(import_module(f"descentlab.engines.{candidate}"), candidate.capitalize())()
        reason = unsupported_reason(engine, problem, descent)
        if reason is None:
            return engine
    raise EngineError("engine_refuses", engine=engine.name, reason=reason)


def _is_worth_compiling(problem: Problem, descent: Descent) -> bool:
    """Whether numba is installed and ``hand`` would take longer than compiling does."""
    steps = 1 if descent.batch_size is None else -(-problem.n // descent.batch_size)
    values = problem.n * len(problem.parameters)
    seconds = descent.epochs * (HAND_SECONDS_PER_STEP * steps + HAND_SECONDS_PER_VALUE * values)
    return seconds >= COMPILE_WORTH_SECONDS and find_spec("numba") is not None
