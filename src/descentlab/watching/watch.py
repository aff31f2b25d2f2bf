"""The instrument: ``with dl.watch(model, optimizer, loss_fn) as watch`` around a loop that stays as it is."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from descentlab.dependencies import require
from descentlab.errors import SettingError, check_choice, check_int
from descentlab.watching.curvature.fixed_batch import FixedBatchLoss
from descentlab.watching.history import WatchRow
from descentlab.watching.hooks import HookSet
from descentlab.watching.live import LiveLine
from descentlab.watching.rules.judge import Observation, evaluate_rules
from descentlab.watching.state_guard import stderr_is_terminal
from descentlab.watching.verdict import WatchFinding

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.watching.recorder import LoopRecorder

TIME_SHARE_BY_LEVEL = {"cheap": 0.01, "full": 0.3}  # of the time, at most, for measuring curvature


def watch(
    model: Any,
    optimizer: Any,
    loss_fn: Any = None,
    *,
    every: int | None = None,
    level: str = "cheap",
    probe: tuple[Any, Any] | None = None,
) -> Watch:
    """Watch a PyTorch training loop, whatever it trains, and name what is wrong with it.

    The loop runs as it would without: parameters, buffers, gradients, losses and random numbers are the same to the
    last bit. Everything is measured on the graph that the loop's own loss already has, so nothing is evaluated twice,
    unless ``probe`` asks for it.

    Args:
        model: any ``torch.nn.Module``.
        optimizer: the ``torch.optim.Optimizer`` that trains it; rates are compared with the limits of SGD, Adam, AdamW,
            RMSprop and Adagrad.
        loss_fn: what the loop calls; a module's arguments are seen, of functions the graph is read, and None will do.
        every: measure the largest curvature every so many steps; 0 never. None: as often as it takes no more than 1 %
            of the time (with ``full`` 30 %), the first time at the first step.
        level: ``cheap``, or ``full``: gradients are checked for NaN and infinity at every step, which waits for a
            device.
        probe: (X, y), a batch on which every curvature is measured: the largest eigenvalue of the Hessian of
            ``loss_fn(model(X), y)``, as the optimizer scales it. Figures of different steps then compare, also where
            mini-batches differ. Evaluated on copies of parameters and buffers, a few calls for each measurement; in
            evaluation mode where two calls in the model's own mode come to different losses (dropout).

    Raises:
        SettingError: the model is no module, the optimizer is no optimizer, or a setting is outside what it may be;
            a probe comes without a ``loss_fn``, is no pair, or holds NaN or infinity.
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", "torch", "torch", "watch")
    if not isinstance(model, torch.nn.Module):
        raise SettingError("watch_model", given=type(model).__name__)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise SettingError("watch_optimizer", given=type(optimizer).__name__)
    if loss_fn is not None and not callable(loss_fn):
        raise SettingError("watch_loss", given=type(loss_fn).__name__)
    every = None if every is None else check_int("every", every, 0)
    level = check_choice("level", level, TIME_SHARE_BY_LEVEL)
    return Watch(
        model, optimizer, loss_fn, every, level, None if probe is None else FixedBatchLoss(model, loss_fn, probe)
    )


class Watch:
    """What :func:`descentlab.watch` gives: it prints while the loop runs, after it, and after an exception.

    Attributes:
        error: the exception that ended the loop, if one did.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss_fn: Any,
        every: int | None,
        level: str,
        fixed_batch: FixedBatchLoss | None = None,
    ) -> None:
        self._model, self._optimizer, self._loss_fn = model, optimizer, loss_fn
        self._every, self._level, self._fixed_batch = every, level, fixed_batch
        self._hooks = HookSet()
        self._recorder: LoopRecorder | None = None
        self._final_observation: Observation | None = None
        self._ended = False
        self.error: BaseException | None = None

    def __enter__(self) -> Watch:
        """Begin to watch.

        Raises:
            SettingError: this watch has been used: its numbers are those of one loop.
        """
        from descentlab.watching.curvature.probe import CurvatureProbe
        from descentlab.watching.recorder import LoopRecorder

        if self._recorder is not None:
            raise SettingError("watch_twice")
        curvature_probe = CurvatureProbe(
            self._model, self._optimizer, self._every, TIME_SHARE_BY_LEVEL[self._level], self._fixed_batch
        )
        recorder = LoopRecorder(self._model, self._optimizer, curvature_probe, self._level == "full")
        try:
            self._hooks.attach(recorder, self._model, self._optimizer, self._loss_fn, recorder.sampled_params)
        except BaseException:
            self._hooks.detach()
            raise
        recorder.curvature_probe.own_hook_ids = self._hooks.parameter_hook_ids
        self._live_line = LiveLine(recorder.history) if stderr_is_terminal() else None
        recorder.on_step = self._live_line.update if self._live_line else None
        self._recorder = recorder
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the loop go; an exception passes."""
        self._hooks.detach()
        if self._live_line is not None:
            self._live_line.clear()
        self._ended, self.error = True, error

    @property
    def observation(self) -> Observation:
        """Everything that was seen so far, as the judge gets it.

        Raises:
            SettingError: the watch has not begun.
        """
        if self._recorder is None:
            raise SettingError("watch_not_begun")
        if not self._ended:
            return Observation(self._recorder)
        self._final_observation = self._final_observation or Observation(self._recorder, True, self.error)
        return self._final_observation

    @property
    def findings(self) -> tuple[WatchFinding, ...]:
        """Every conclusion so far, causes before effects; one called ``progress_finding`` if nothing is wrong."""
        return evaluate_rules(self.observation)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is wrong; none for a healthy loop."""
        return tuple(each.name for each in self.findings if each.severity != "fact")

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The exact doctor's diagnosis, for one linear hypothesis under squared errors on one full batch."""
        return self.observation.diagnosis

    def table(self) -> tuple[WatchRow, ...]:
        """A row a step: ``step`` from 1, ``loss`` before its update, ``lr``; where measured ``sharpness_curve``,
        ``limit``.

        ``ratio`` is the sharpness over the limit, which is the rate over the largest stable one.
        """
        return self.observation.recorder.history.rows()

    def to_arrow(self) -> Any:
        """:meth:`table` as a pyarrow table; what was not measured is null."""
        pa = require("pyarrow", "pyarrow", None, "tables")
        rows = self.table()
        columns = [[getattr(row, name) for row in rows] for name in WatchRow._fields]
        types = [pa.int64(), *[pa.float64()] * 5]
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names=list(WatchRow._fields)
        )

    def to_pandas(self) -> Any:
        """:meth:`to_arrow` as a pandas data frame."""
        require("pandas", "pandas", "pandas", "frames")
        return self.to_arrow().to_pandas()

    def plot(self, path: str | os.PathLike[str] | None = None, lang: str | None = None) -> Any:
        """Draw the loss, and the sharpness against its limit, by step; write it to ``path`` if there is one.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            SettingError: the file's name ends in something other than .png, .svg or .pdf.
        """
        from descentlab.watching.plot import plot_watch_history

        return plot_watch_history(self.observation.recorder.history, path, lang)

    def text(self, lang: str | None = None) -> str:
        """The verdicts in words, 80 columns wide, then how far what was measured goes."""
        from descentlab.watching.report import observation_to_text

        return observation_to_text(self.observation, lang)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        if self._recorder is None:
            return "Watch(not begun)"
        steps = self._recorder.steps
        return f"Watch({steps:,} steps, {', '.join(each.name for each in self.findings)})"

    def _repr_html_(self) -> str:
        from descentlab.watching.report import observation_to_html

        return observation_to_html(self.observation)
