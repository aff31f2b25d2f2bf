"""Watches for trainers: Lightning, Hugging Face, skorch and ignite.

Each function makes what its trainer accepts; the package of the trainer is imported there. ``settings`` are those of
:func:`descentlab.watch`. The watch begins with the training and ends with it, also where it raises; the report is
printed at the end, and ``callback.watch`` is the watch. Where the optimizer exists before the training, or a function
can return it, ``with dl.watch(model, lambda: trainer.optimizer)`` around the training does the same.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import FrameType
from typing import Any

from descentlab.dependencies import require
from descentlab.watching.watch import Watch, watch


class _TrainerWatch:
    """The watch on one training, begun and ended by a trainer's events."""

    def __init__(self, prints: bool, settings: dict[str, Any]) -> None:
        self.prints, self.settings = prints, settings
        self.watch: Watch | None = None
        self.is_on = False
        self.guarded: list[tuple[Any, str]] = []

    def begin(self, model: Any, optimizer: Any, loss_fn: Any = None) -> None:
        """Begin to watch; a watch that was left on is ended first."""
        if self.is_on:
            self.end()
        self.watch = watch(model, optimizer, self.settings.get("loss_fn", loss_fn), **_without_loss(self.settings))
        self.watch.__enter__()
        self.is_on = True

    def end(self, error: BaseException | None = None) -> None:
        """Remove the hooks, and print the report; nothing happens if that has been done."""
        for owner, name in self.guarded:
            owner.__dict__.pop(name, None)
        self.guarded.clear()
        if self.watch is None or not self.is_on:
            return
        self.is_on = False
        self.watch.__exit__(None if error is None else type(error), error, None)
        if self.prints:
            print(self.watch)

    def guard(self, owner: Any, name: str, ends: bool = True) -> None:
        """Let a method of one object end the watch if it raises, and, where ``ends`` says so, also if it returns."""
        method = getattr(owner, name)

        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = method(*args, **kwargs)
            except BaseException as error:
                self.end(error)
                raise
            if ends:
                self.end()
            return result

        owner.__dict__[name] = call
        self.guarded.append((owner, name))


def _without_loss(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "loss_fn"}


def _main_module(model: Any) -> Any:
    """The one child that holds all parameters, since a trainer's module is not always called itself; else the model."""
    own = {id(each) for each in model.parameters()}
    holding = [each for each in model.children() if own and own == {id(p) for p in each.parameters()}]
    return holding[0] if len(holding) == 1 else model


def lightning_callback(*, prints: bool = True, **settings: Any) -> Any:
    """A callback for Lightning's ``Trainer(callbacks=[...])``; of several optimizers the first is watched.

    Args:
        prints: whether to print the report at the end.
        **settings: of :func:`descentlab.watch`.

    Raises:
        MissingDependencyError: Lightning is not installed.
    """
    base = _lightning().Callback

    class WatchCallback(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self._own = _TrainerWatch(prints, settings)

        @property
        def watch(self) -> Watch | None:
            return self._own.watch

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self._own.begin(_main_module(pl_module), lambda: trainer.optimizers[0])

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self._own.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._own.end(exception)

    return WatchCallback()


def _lightning() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):  # the loop is of the one that has been imported
        if name in sys.modules:
            return sys.modules[name]
    return require("lightning.pytorch", "lightning", None, "watch_integration")


def huggingface_callback(*, prints: bool = True, **settings: Any) -> Any:
    """A ``TrainerCallback`` for Hugging Face's ``Trainer(callbacks=[...])``.

    The trainer has no event for training that raises. The callback therefore wraps ``train`` of the trainer that it is
    given to; added later, by ``add_callback``, or for a second ``train``, only ``training_step``.

    Args:
        prints: whether to print the report at the end.
        **settings: of :func:`descentlab.watch`.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    transformers = require("transformers", "transformers", None, "watch_integration")
    base, trainer_class = transformers.TrainerCallback, transformers.Trainer

    class WatchCallback(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self._own = _TrainerWatch(prints, settings)

        @property
        def watch(self) -> Watch | None:
            return self._own.watch

        def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._guard("train", ends=True)

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not self._own.guarded:
                self._guard("training_step", ends=False)
            self._own.begin(kwargs["model"], kwargs["optimizer"])

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._own.end()

        def _guard(self, name: str, ends: bool) -> None:
            trainer = _find_self(sys._getframe(1), trainer_class)
            if trainer is not None:
                self._own.guard(trainer, name, ends)

    return WatchCallback()


def _find_self(frame: FrameType | None, kind: type) -> Any | None:
    """The object of this kind whose method is being called."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), kind):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def skorch_callback(*, prints: bool = True, **settings: Any) -> Any:
    """A callback for the nets of skorch, ``NeuralNet(callbacks=[...])``.

    Args:
        prints: whether to print the report at the end.
        **settings: of :func:`descentlab.watch`.

    Raises:
        MissingDependencyError: skorch is not installed.
    """
    callbacks = require("skorch.callbacks", "skorch", None, "watch_integration")

    class WatchCallback(callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._own = _TrainerWatch(prints, settings)

        @property
        def watch(self) -> Watch | None:
            return self._own.watch

        def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
            self._own.begin(net.module_, net.optimizer_, net.criterion_)
            self._own.guard(net, "fit_loop")

    return WatchCallback()


def watch_ignite(
    engine: Any, model: Any, optimizer: Any, loss_fn: Any = None, *, prints: bool = True, **settings: Any
) -> Any:
    """Watch the training of an ignite ``Engine``; the result has the watch as its attribute ``watch``.

    Args:
        engine: the trainer; its next ``run`` is watched.
        model, optimizer, loss_fn: what its update function uses.
        prints: whether to print the report at the end.
        **settings: of :func:`descentlab.watch`.
    """
    own = _TrainerWatch(prints, settings)
    own.guard(engine, "run")
    own.begin(model, optimizer, loss_fn)
    return own
