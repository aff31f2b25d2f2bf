"""``with dl.watch(model, optimizer, loss_fn) as watch`` around a PyTorch training loop that stays as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from descentlab.dependencies import require
from descentlab.doctor.finding import Finding
from descentlab.errors import SettingError, check_choice, check_int
from descentlab.messages import Message, to_json_types, use_language
from descentlab.messages.document import to_html, to_text
from descentlab.watching.curvature.fixed_batch import FixedBatchLoss
from descentlab.watching.history import WatchRow
from descentlab.watching.hooks import HookSet, UncopiedHook
from descentlab.watching.hooks import noop as _ignore
from descentlab.watching.live import LiveLine
from descentlab.watching.log import WatchLog
from descentlab.watching.resolve import resolve_model, resolve_optimizer
from descentlab.watching.rules.evaluate import Evaluation, evaluate_rules
from descentlab.watching.rules.observation import Observation
from descentlab.watching.state_guard import stderr_is_terminal

if TYPE_CHECKING:
    from descentlab.doctor.diagnosis import Diagnosis
    from descentlab.watching.recorder import LoopRecorder

WATCH_SCHEMA = "descentlab.watch/1"
TIME_SHARE_BY_LEVEL = {"cheap": 0.0075, "full": 0.3}  # of the time, in the long run, for measuring curvature


def watch(
    model: Any,
    optimizer: Any = None,
    loss_fn: Any = None,
    *,
    every: int | None = None,
    level: str = "cheap",
    probe: tuple[Any, Any] | None = None,
    validation: tuple[Any, Any] | None = None,
    log: Any = None,
) -> Watch:
    """Watch a PyTorch training loop, as a context manager, and report the mistakes in it by name.

    The loop stays as it is, and so does its result: parameters, buffers, gradients, losses and random numbers are the
    same to the last bit. Curvature is measured on the graph of the loop's own loss,

        S (H + decay) S,   S = sqrt(lr_i / lr / P),

    with the Hessian H of that loss, the weight decay and the optimizer's scaling P; its largest eigenvalue is compared
    with the largest value at which lr is stable. Nothing is evaluated twice unless ``probe`` is given.

    Args:
        model: any ``torch.nn.Module``; for a loop without one its tensors, as in ``watch([W, b])``.
        optimizer: the ``torch.optim.Optimizer`` that trains it, or a wrapper around one, of which the optimizer inside
            is watched; a function that returns it, as ``lambda: trainer.optimizer``, if it does not exist yet; None
            where the loop moves the parameters itself, as in ``W -= lr * W.grad``: steps and their rate are then read
            from what the parameters did. Limits of the rate are known for SGD, Adam, AdamW, RMSprop and Adagrad.
        loss_fn: the loss that the loop calls. If it is a module, its arguments are inspected; of a function only the
            graph of its result is, so that None will do.
        every: measure curvature every N steps; 0 means never. None means as often as it takes 0.75% of the
            time (30% at level ``full``) and a little more at first, see :mod:`descentlab.watching.pace`.
        level: ``cheap``; or ``full``, which checks gradients for NaN and infinity at every step and therefore waits for
            the device.
        probe: (X, y), a batch on which every curvature is measured, so that figures of different steps compare also
            where mini-batches differ. The loss ``loss_fn(model(X), y)`` is evaluated a few times for each measurement,
            on copies of parameters and buffers; in evaluation mode if two evaluations differ, as with dropout.
        validation: (X, y), rows that are not trained on. ``loss_fn(model(X), y)`` is evaluated on them, as with
            ``probe`` but in evaluation mode, after updates 1, 2, 3, 5, 9 and so on and at the end, so that overfitting
            is seen; without it, the rows of ``probe`` are used.
        log: where to send sharpness, limit and ratio when they are measured, gradient norms by layer at steps 1, 2, 4,
            8 and so on and every fifty, and once, as an alert, what is wrong: a function ``log(step, values)``, a
            TensorBoard writer, a run of W&B or trackio, mlflow, or a logger of Lightning.

    Raises:
        SettingError: ``model`` is neither a module nor tensors, ``optimizer`` is none of these, or a setting is out of
            its range; ``probe`` or ``validation`` comes without ``loss_fn``, is not a pair, or holds NaN or infinity.
        MissingDependencyError: torch is not installed.

    Source: J. Cohen et al., *Adaptive Gradient Methods at the Edge of Stability* (2022), for the limits.

    >>> import torch, descentlab as dl
    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> model = torch.nn.Linear(1, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with dl.watch(model, optimizer) as watch:
    ...     for epoch in range(30):
    ...         loss = ((model(x) - 2 * x) ** 2).mean()
    ...         loss.backward()
    ...         optimizer.step()
    >>> watch.names
    ('no_zero_grad',)
    >>> print(str(watch).splitlines()[1])
    Call optimizer.zero_grad() before each backward().
    """
    require("torch", "torch", "torch", "watch")
    model = resolve_model(model, depth=1)
    resolve_optimizer(optimizer, model)  # raises an error here, where the watch is asked for
    if loss_fn is not None and not callable(loss_fn):
        raise SettingError("watch_loss", given=type(loss_fn).__name__)
    every = None if every is None else check_int("every", every, 0)
    level = check_choice("level", level, TIME_SHARE_BY_LEVEL)
    fixed_batches = (None if each is None else FixedBatchLoss(model, loss_fn, each) for each in (probe, validation))
    return Watch(model, optimizer, loss_fn, every, level, *fixed_batches, log=log)


class Watch:
    """A watch on one loop, made by :func:`descentlab.watch`.

    It can be printed while the loop runs, after it, and after an exception, which passes. The first two lines say what
    is wrong and what to do; then come the findings with their numbers, what was checked and is fine, and what could not
    be checked, and why.

    Attributes:
        error: the exception that ended the loop, if one did.

    >>> import torch, descentlab as dl
    >>> x, model = torch.linspace(-1, 1, 50)[:, None], torch.nn.Linear(1, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with dl.watch(model, optimizer, every=10) as watch:
    ...     for epoch in range(30):
    ...         optimizer.zero_grad()
    ...         loss = ((model(x) - 2 * x) ** 2).mean()
    ...         loss.backward()
    ...         optimizer.step()
    >>> watch
    Watch(30 steps, healthy)
    >>> watch.names, "no_zero_grad" in watch.passed, list(watch.unchecked)
    ((), True, ['overfit', 'no_signal'])
    >>> [row.step for row in watch.table() if row.sharpness is not None], f"{watch.diagnosis.lr_bound:.3f}"
    ([1, 11, 21], '1.000')
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss_fn: Any,
        every: int | None,
        level: str,
        fixed_batch: FixedBatchLoss | None = None,
        validation: FixedBatchLoss | None = None,
        *,
        live: bool = True,
        log: Any = None,
    ) -> None:
        self._model, self._optimizer, self._loss_fn = model, optimizer, loss_fn
        self._every, self._level, self._fixed_batch, self._validation = every, level, fixed_batch, validation
        self._live_line: LiveLine | None = None
        self._log = None if log is None else WatchLog(self, log)
        self._show_live = live
        self._hooks = HookSet()
        self._waiting: Any = None
        self._recorder: LoopRecorder | None = None
        self._final: tuple[Observation, Evaluation] | None = None
        self._ended = False
        self.error: BaseException | None = None

    def __enter__(self) -> Watch:
        """Begin to watch.

        Raises:
            SettingError: this watch has already been used, and it records one loop only.
        """
        if self._recorder is not None or self._ended:
            raise SettingError("watch_twice")
        self._begin_if_possible()
        return self

    def _begin_if_possible(self, *_: Any) -> None:
        """Begin once there is an optimizer; until then try again whenever the model is called."""
        optimizer = resolve_optimizer(self._optimizer, self._model)
        if optimizer is not None:
            self._stop_waiting()
            self._begin(optimizer)
        elif self._waiting is None:
            self._waiting = self._model.register_forward_pre_hook(UncopiedHook(self._begin_if_possible, _ignore))

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.remove()
            self._waiting = None

    def _begin(self, optimizer: Any) -> None:
        from descentlab.watching.curvature.probe import CurvatureProbe
        from descentlab.watching.recorder import LoopRecorder
        from descentlab.watching.sampling.validation import ValidationLosses

        curvature_probe = CurvatureProbe(
            self._model, optimizer, self._every, TIME_SHARE_BY_LEVEL[self._level], self._fixed_batch
        )
        validation = ValidationLosses(self._model, self._validation or self._fixed_batch)
        recorder = LoopRecorder(self._model, optimizer, curvature_probe, self._level == "full", validation)
        try:
            self._hooks.attach(recorder, self._model, optimizer, self._loss_fn, recorder.sampled_params)
        except BaseException:
            self._hooks.detach()
            recorder.sampler.disarm()
            raise
        self._live_line = LiveLine(recorder.history) if self._show_live and stderr_is_terminal() else None
        recorder.listeners += [each.update for each in (self._live_line, self._log) if each is not None]
        self._recorder = recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the hooks; an exception passes."""
        self._stop_waiting()
        if self._recorder is not None:
            self._catch_up()
            self._recorder.sampler.finish(self._recorder.steps)
        self._hooks.detach()
        if self._live_line is not None:
            self._live_line.clear()
        self._ended, self.error = True, error
        if self._log is not None and self._recorder is not None:
            self._recorder.call_listener(self._log.judge)

    @property
    def recorder(self) -> LoopRecorder:
        """The object that the hooks report to.

        Raises:
            SettingError: the watch has not begun, or the function given for the optimizer never returned one.
        """
        if self._recorder is None:
            raise SettingError("watch_without_optimizer" if self._ended else "watch_not_begun")
        return self._recorder

    def _catch_up(self) -> None:
        """Record the last step of a loop without an optimizer, which no later backward pass shows."""
        try:
            self.recorder.catch_up()
        except Exception as error:  # an error of the watch must not end the run
            self.recorder.on_internal_error(error)

    def _evaluate(self) -> tuple[Observation, Evaluation]:
        """The observation so far and its evaluation; computed once after the loop has ended."""
        from descentlab.watching.observe import observe

        if self._final is not None:
            return self._final
        recorder = self.recorder
        if not self._ended:
            self._catch_up()
        observation = observe(recorder, self._ended, self.error)
        result = observation, evaluate_rules(observation)
        self._final = result if self._ended else None
        return result

    @property
    def observation(self) -> Observation:
        """The loop so far in plain numbers, which the rules read."""
        return self._evaluate()[0]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every conclusion so far, causes before effects; one called ``healthy`` if nothing is wrong."""
        return self._evaluate()[1].findings

    @property
    def verdicts(self) -> tuple[Finding, ...]:
        """The earlier name of :attr:`findings`, kept for code that uses it."""
        return self.findings

    @property
    def passed(self) -> tuple[str, ...]:
        """The names of findings that were checked and not found."""
        return self._evaluate()[1].passed

    @property
    def unchecked(self) -> Mapping[str, Message]:
        """Why a check was not possible, by the name of its finding."""
        return self._evaluate()[1].unchecked

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is wrong; none for a healthy loop."""
        return tuple(each.name for each in self.findings if each.severity != "fact")

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The result of :func:`descentlab.diagnose`, for one linear layer under squared errors on one full batch."""
        return self.observation.diagnosis

    def table(self) -> tuple[WatchRow, ...]:
        """A row for each step: ``step`` from 1, ``loss`` before its update, ``lr``; where measured also ``sharpness``,
        its ``limit`` and their ``ratio``, which is lr over the largest stable rate.
        """
        return self.recorder.history.rows()

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """Everything that the report says, in the types of JSON, with the rows of :meth:`table`.

        >>> import torch, descentlab as dl
        >>> with dl.watch(torch.nn.Linear(1, 1)) as watch:
        ...     pass
        >>> sorted(watch.to_dict())
        ['error', 'findings', 'model', 'names', 'optimizer', 'passed', 'rows', 'schema', 'steps', 'unchecked']
        """
        with use_language(lang):
            seen = self.observation
            content = {
                "schema": WATCH_SCHEMA,
                "model": seen.model_class,
                "optimizer": None if seen.updates_by_hand else seen.optimizer_class,
                "steps": seen.steps,
                "error": seen.error,
                "names": list(self.names),
                "findings": [each.to_dict() for each in self.findings],
                "passed": list(self.passed),
                "unchecked": {name: reason.text() for name, reason in self.unchecked.items()},
                "rows": [row._asdict() for row in self.table()],
            }
            json_content: dict[str, Any] = to_json_types(content)
            return json_content

    def to_json(self, lang: str | None = None) -> str:
        """:meth:`to_dict` as text; NaN and infinity, which JSON does not have, are null."""
        return json.dumps(self.to_dict(lang), ensure_ascii=False, allow_nan=False)

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

        return plot_watch_history(self.recorder.history, path, lang)

    def text(self, lang: str | None = None) -> str:
        """The report, 80 columns wide: what is wrong and what to do, then the rest."""
        from descentlab.watching.report import watch_blocks

        with use_language(lang):
            return to_text(watch_blocks(*self._evaluate()))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        if self._recorder is None:
            return "Watch(not begun)"
        steps = self._recorder.steps
        return f"Watch({steps:,} steps, {', '.join(each.name for each in self.findings)})"

    def _repr_html_(self) -> str:
        from descentlab.watching.plot import watch_history_to_svg
        from descentlab.watching.report import watch_blocks

        return to_html(watch_blocks(*self._evaluate())) + watch_history_to_svg(self.recorder.history)
