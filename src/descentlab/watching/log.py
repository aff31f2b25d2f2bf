"""Sends what a watch measures to where a loop logs: sharpness, limit, ratio, gradient norms, and the verdict once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from descentlab.errors import SettingError

LOG_INTERVAL = 50  # steps between gradient norms, after the first ones at 1, 2, 4, 8 and so on
FIRST_JUDGED_STEP = 64  # from it on, the verdict is asked for at each power of two, and at the end

SendScalars = Callable[[int, dict[str, float]], Any]
SendAlert = Callable[[int, str, str], Any]


def find_senders(target: Any) -> tuple[SendScalars, SendAlert]:
    """The functions that send numbers and an alert to a writer.

    Args:
        target: a function ``log(step, values)``, which gets the alert as ``{"alert": text}``; a TensorBoard writer; a
            run of W&B or trackio, or either module; mlflow, or a logger of Lightning.

    Raises:
        SettingError: it is none of these.
    """
    if hasattr(target, "add_scalar"):
        return _send_to_tensorboard(target)
    if hasattr(target, "log_metrics"):
        return _send_to_metrics(target)
    if callable(getattr(target, "log", None)):
        return _send_to_run(target)
    if not callable(target):
        raise SettingError("watch_log", given=type(target).__name__)
    return target, lambda step, title, text: target(step, {"alert": f"{title}\n{text}"})


def _send_to_tensorboard(writer: Any) -> tuple[SendScalars, SendAlert]:
    def send(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return send, lambda step, title, text: writer.add_text("descentlab/alert", f"{title}\n\n{text}", step)


def _send_to_metrics(target: Any) -> tuple[SendScalars, SendAlert]:
    def alert(step: int, title: str, text: str) -> None:
        if hasattr(target, "set_tag"):
            target.set_tag("descentlab.alert", f"step {step}: {title}\n{text}")

    return lambda step, values: target.log_metrics(values, step=step), alert


def _send_to_run(run: Any) -> tuple[SendScalars, SendAlert]:
    # Steps of a run only grow, and are counted by the loop's own calls: these numbers wait for its next call.
    waits = {"commit": False} if "commit" in inspect.signature(run.log).parameters else {}

    def send(step: int, values: dict[str, float]) -> None:
        run.log(values | {"descentlab/step": step}, **waits)

    def alert(step: int, title: str, text: str) -> None:
        if callable(getattr(run, "alert", None)):
            run.alert(title=title, text=text)

    return send, alert


class WatchLog:
    """Sends the figures of one watch; an error of the writer ends the log, not the loop.

    Args:
        watch: a :class:`descentlab.watching.watch.Watch`.
        target: where to, see :func:`find_senders`.
    """

    def __init__(self, watch: Any, target: Any) -> None:
        self.watch = watch
        self._send, self._alert = find_senders(target)
        self._n_sent = 0
        self._is_alerted = False

    def update(self) -> None:
        """After a step."""
        recorder = self.watch.recorder
        step, values = recorder.steps, dict[str, float]()
        for each in recorder.history.measurements[self._n_sent :]:
            named = {"sharpness": each.sharpness, "limit": each.limit, "ratio": each.ratio}
            values |= {f"descentlab/{name}": value for name, value in named.items() if value is not None}
        self._n_sent = len(recorder.history.measurements)
        is_power = step & (step - 1) == 0
        if is_power or step % LOG_INTERVAL == 0:
            values |= self._gradient_norms()
        if values:
            self._send(step, values)
        if is_power and step >= FIRST_JUDGED_STEP:
            self.judge()

    def _gradient_norms(self) -> dict[str, float]:
        """The norm of the last gradient of each layer: of the parameters whose names differ in their last part only."""
        recorder, squares = self.watch.recorder, dict[str, float]()
        for parameter, gradient in recorder.gradients.dense_gradients():
            layer = recorder.param_names.get(id(parameter), "?").rpartition(".")[0] or "model"
            squares[layer] = squares.get(layer, 0.0) + float(gradient.norm()) ** 2
        return {f"descentlab/gradient_norm/{layer}": square**0.5 for layer, square in squares.items()}

    def judge(self) -> None:
        """Send the verdict, the first time that something is wrong."""
        if self._is_alerted or not self.watch.names:
            return
        self._is_alerted = True
        first = self.watch.findings[0]
        self._alert(self.watch.recorder.steps, f"descentlab: {first.name}", first.text())
