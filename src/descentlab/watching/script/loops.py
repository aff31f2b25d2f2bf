"""The training loops of a running script: a watch on each optimizer, from the first pass of its model to its end."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from descentlab.messages import use_language
from descentlab.watching.holder import holds_all, make_holder, optimized_parameters, variable_names
from descentlab.watching.script import MAX_WATCHED_LOOPS
from descentlab.watching.script.report import LoopReport, add_report, make_report
from descentlab.watching.watch import Watch

MAX_SEARCHED_NODES = 100_000  # of a loss's graph
PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
N_KEPT_LOSSES = 8  # the first ones, of a script that has no optimizer


class ScriptLoop:
    """One optimizer of a script.

    Attributes:
        optimizer: the optimizer.
        place: the file and line where it was created.
        steps: its updates so far.
        watch: the watch on it, once its model has been called; ``has_begun`` if it could begin.
    """

    def __init__(self, optimizer: Any, place: str, frame: FrameType | None) -> None:
        self.optimizer, self.place, self.steps = optimizer, place, 0
        self.parameters = optimized_parameters(optimizer)
        self.names = variable_names(frame, self.parameters)
        self.watch: Watch | None = None
        self.has_begun = False
        self._refused_ids: set[int] = set()

    def trains(self, module: Any) -> bool:
        """Whether a module that is called holds everything that is optimized."""
        if id(module) in self._refused_ids:
            return False
        result = holds_all(module, self.parameters)
        if not result:
            self._refused_ids.add(id(module))
        return result

    def attach(self, model: Any | None) -> None:
        """Begin to watch: this model, else the smallest one that holds the parameters, else the tensors themselves."""
        model = model or _smallest_holding(self.parameters)
        if model is None or isinstance(model, torch.jit.ScriptModule):  # which takes no hooks
            model = make_holder(self.parameters, self.names)
        self.watch = Watch(model, self.optimizer, None, None, "cheap", live=False)
        self.watch.__enter__()
        self.has_begun = True

    def discard(self) -> None:
        """Stop watching without a report."""
        if self.watch is not None and self.has_begun:
            self.watch.__exit__(None, None, None)

    def end(self, error: BaseException | None) -> LoopReport | None:
        """Stop watching; what was found, or None if the watch could not begin."""
        if self.watch is None:
            self.attach(None)
        if self.watch is None or not self.has_begun:
            return None
        self.watch.__exit__(None if error is None else type(error), error, None)
        return make_report(self.watch, self.place)


class ScriptLoops:
    """Watches on every optimizer that a script creates.

    Nothing here changes what the script computes, and an error of the watch never ends it.

    Args:
        folder: of the script; places are relative to it.
        lang: of the reports.
    """

    def __init__(self, folder: str, lang: str) -> None:
        self.folder, self.lang = folder, lang
        self.loops: dict[int, ScriptLoop] = {}
        self.reports: list[LoopReport] = []
        self.first_losses: list[Any] = []
        self.backward_calls = self.n_watched = self.unwatched_optimizers = 0
        self.current: ScriptLoop | None = None
        self.internal_error: str | None = None
        self._call_module = torch.nn.Module.__call__

    def install(self, on_updates: Callable[[int], None]) -> None:
        """Hook into torch; ``on_updates`` is called after every step with the number of updates of its optimizer."""
        create, backward = torch.optim.Optimizer.__init__, torch.autograd.backward

        @functools.wraps(create)
        def create_and_watch(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            create(optimizer, *args, **kwargs)
            self._guard(self.on_optimizer, optimizer)

        @functools.wraps(backward)
        def note_and_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            n_watched = self.n_watched
            self._guard(self.on_backward, tensors)
            if self.n_watched > n_watched:  # the new watch has wrapped this function, and must see this pass
                return torch.autograd.backward(tensors, *args, **kwargs)
            self._guard(self.note_backward, tensors)
            return backward(tensors, *args, **kwargs)

        def before_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            loop = self.loops.get(id(optimizer))
            if loop is not None and loop.watch is None and len(args) == 1 and not kwargs:  # a closure has the passes
                self._guard(self._attach, loop, None)

        def after_step(optimizer: Any, *_: Any) -> None:
            loop = self.loops.get(id(optimizer))
            if loop is not None:
                self._guard(self.on_step, loop)
                on_updates(loop.steps)

        torch.optim.Optimizer.__init__ = create_and_watch
        torch.autograd.backward = note_and_backward
        register_optimizer_step_pre_hook(before_step)
        register_optimizer_step_post_hook(after_step)

    def _guard(self, function: Callable[..., None], *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:
            self.internal_error = self.internal_error or f"{type(error).__name__}: {error}"

    def on_optimizer(self, optimizer: Any) -> None:
        """An optimizer was created. An earlier one from the same line that has made steps has ended.

        One of the same parameters that has made none has been replaced before it was used: nothing is said of it.
        """
        place, frame = self._place()
        parameter_ids = set(map(id, optimized_parameters(optimizer)))
        for key, loop in list(self.loops.items()):
            if loop.place == place and loop.steps:
                self._guard(self._end_loop, key, None)
            elif not loop.steps and set(map(id, loop.parameters)) == parameter_ids:
                self._guard(self.loops.pop(key).discard)
        if len(self.loops) >= MAX_WATCHED_LOOPS:
            self.unwatched_optimizers += 1
            return
        self.loops[id(optimizer)] = ScriptLoop(optimizer, place, frame)
        if torch.nn.Module.__call__ is self._call_module:
            self._watch_calls()

    def _watch_calls(self) -> None:
        """See every call of a module; a global hook would make torch.compile warn."""
        call = self._call_module

        @functools.wraps(call)
        def note_and_call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if not (torch.jit.is_tracing() or torch.compiler.is_compiling()):
                self._guard(self.on_module_call, module)
                if torch.nn.Module.__call__ is note_and_call and all(each.watch for each in self.loops.values()):
                    torch.nn.Module.__call__ = call
            return call(module, *args, **kwargs)

        torch.nn.Module.__call__ = note_and_call

    def on_module_call(self, module: Any) -> None:
        """The outermost module that holds what an optimizer trains is its model."""
        for loop in self.loops.values():
            if loop.watch is None and loop.trains(module):
                self._attach(loop, module)

    def on_backward(self, tensors: Any) -> None:
        """A backward pass begins: the last moment to watch a loop whose model has not been called."""
        for loop in self.loops.values():
            if loop.watch is None and graph_reaches(_first_loss(tensors), loop.parameters):
                self._attach(loop, None)

    def note_backward(self, tensors: Any) -> None:
        """Count the pass; of a script without an optimizer its first losses are all that there is to see."""
        self.backward_calls += 1
        if not self.loops and len(self.first_losses) < N_KEPT_LOSSES:
            self.first_losses.append(_first_loss(tensors).detach().clone())

    def _attach(self, loop: ScriptLoop, model: Any | None) -> None:
        self.current = loop
        self.n_watched += 1
        loop.attach(model)

    def on_step(self, loop: ScriptLoop) -> None:
        """An optimizer has made an update."""
        loop.steps += 1
        self.current = loop

    def _end_loop(self, key: int, error: BaseException | None) -> None:
        loop = self.loops.pop(key)
        with use_language(self.lang):
            report = loop.end(error)
        if report is not None:
            add_report(self.reports, report)

    def finish(self, error: BaseException | None) -> dict[str, Any]:
        """End all watches; an error belongs to the loop that was active last. The reports, in the types of JSON."""
        active = list(self.loops.items())
        last = self.current if self.current in self.loops.values() else active[-1][1] if active else None
        for key, loop in active:
            self._guard(self._end_loop, key, error if loop is last else None)
        return {
            "loops": [each.to_dict() for each in self.reports],
            "backward_calls": self.backward_calls,
            "first_losses": [float(loss) for loss in self.first_losses if loss.numel() == 1],
            "unwatched_optimizers": self.unwatched_optimizers,
            "internal_error": self.internal_error,
        }

    def _place(self) -> tuple[str, FrameType | None]:
        """The line of the script that creates an optimizer, else the line of another file, and its frame."""
        frame: FrameType | None = sys._getframe()
        while frame is not None and not self._is_of_script(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None:
            return "", None
        return f"{os.path.relpath(frame.f_code.co_filename, self.folder)}:{frame.f_lineno}", frame

    def _is_of_script(self, file: str) -> bool:
        inside = file.startswith(self.folder + os.sep)
        return inside and "site-packages" not in file and not Path(file).is_relative_to(PACKAGE_FOLDER)


def _first_loss(tensors: Any) -> Any:
    return tensors if hasattr(tensors, "detach") else tensors[0]


def graph_reaches(loss: Any, parameters: list[Any]) -> bool:
    """Whether the graph of a loss ends at any of these tensors."""
    wanted, queue = {id(each) for each in parameters}, [loss.grad_fn]
    visited = set(queue)
    while queue and len(visited) < MAX_SEARCHED_NODES:
        node = queue.pop()
        if node is None:
            continue
        if id(getattr(node, "variable", None)) in wanted:
            return True
        following = {each for each, _ in node.next_functions} - visited
        visited |= following
        queue += following
    return False


def _smallest_holding(parameters: list[Any]) -> Any | None:
    """The module with the fewest parameters that holds all of these, if there is one."""
    modules = [each for each in gc.get_objects() if issubclass(type(each), torch.nn.Module)]
    holding = [each for each in modules if holds_all(each, parameters)]
    return min(holding, key=lambda each: sum(1 for _ in each.modules()), default=None)
