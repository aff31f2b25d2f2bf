"""Runs a script as ``python script.py`` would, with a watch on its training loops, and writes what was found to a file.

This file is run by its path, not as a module of the package: nothing but the standard library is imported before the
script imports it, so that what the script sets before ``import torch`` (threads, devices) takes effect.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descentlab.watching.script.loops import ScriptLoops

PACKAGE = Path(__file__).resolve().parents[2]


class StopScript(BaseException):
    """Ends the script after the number of updates that was asked for; not an Exception, so that scripts let it pass."""


class TorchImportHook(importlib.abc.MetaPathFinder):
    """Calls a function once, as soon as torch has been imported."""

    def __init__(self, on_imported: Any) -> None:
        self.on_imported = on_imported

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The spec that the other finders have, with a loader that calls the function at the end."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            execute = loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                loader.exec_module = execute  # type: ignore[method-assign]
                execute(module)
                self.on_imported()

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class ScriptRun:
    """One run of a script.

    Args:
        path: of the script.
        max_steps: updates of one optimizer after which the script is stopped; None for no limit.
        lang: of the report.
    """

    def __init__(self, path: str, max_steps: int | None, lang: str) -> None:
        self.path, self.max_steps, self.lang = path, max_steps, lang
        self.loops: ScriptLoops | None = None
        self.pid = os.getpid()

    def start_watching(self) -> None:
        """Watch every optimizer from now on; torch has just been imported."""
        sys.path.append(str(PACKAGE.parent))
        from descentlab.watching.script.loops import ScriptLoops

        sys.path.remove(str(PACKAGE.parent))
        self.loops = ScriptLoops(str(Path(self.path).absolute().parent), self.lang)
        self.loops.install(self._stop_after)

    def _stop_after(self, steps: int) -> None:
        if self.max_steps is not None and steps >= self.max_steps:
            raise StopScript

    def run(self) -> tuple[int, BaseException | None]:
        """Run the script; its exit code, and what ended it, if it did not reach its end."""
        try:
            self._execute()
        except StopScript as stop:
            return 0, stop
        except SystemExit as end:
            return _exit_code(end), end
        except KeyboardInterrupt as interrupt:
            return 130, interrupt
        except BaseException as error:
            sys.excepthook(type(error), error, _script_frames(error))
            return 1, error
        return 0, None

    def _execute(self) -> None:
        """Run the code as the module ``__main__``, which worker processes import by its path."""
        path = str(Path(self.path).absolute())
        main = types.ModuleType("__main__")
        main.__file__, main.__loader__ = path, importlib.machinery.SourceFileLoader("__main__", path)
        main.__dict__["__builtins__"] = __builtins__
        sys.modules["__main__"] = main
        code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102 (running it is what was asked for)

    def report(self, code: int, end: BaseException | None) -> dict[str, Any]:
        """What was found, in the types of JSON."""
        error = None if isinstance(end, StopScript | SystemExit | KeyboardInterrupt) else end
        return {
            "exit_code": code,
            "stopped": isinstance(end, StopScript),
            "interrupted": isinstance(end, KeyboardInterrupt),
            "error": None if error is None else traceback.format_exception_only(error)[-1].strip(),
            "torch": self.loops is not None,
            **({"loops": []} if self.loops is None else self.loops.finish(error)),
        }


def _exit_code(end: SystemExit) -> int:
    """What the process would end with; a text is printed, as Python does."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _script_frames(error: BaseException) -> types.TracebackType | None:
    """The traceback of an error, and of those before it, without the frames of this package."""
    chained: BaseException | None = error
    seen: set[int] = set()
    while chained is not None and id(chained) not in seen:
        seen.add(id(chained))
        chained.__traceback__ = _without_package(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__
    return error.__traceback__


def _without_package(trace: types.TracebackType | None) -> types.TracebackType | None:
    kept = []
    while trace is not None:
        if not Path(trace.tb_frame.f_code.co_filename).is_relative_to(PACKAGE):
            kept.append(trace)
        trace = trace.tb_next
    for each in reversed(kept):
        trace = types.TracebackType(trace, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return trace


def main(arguments: Sequence[str]) -> int:
    """Run ``[REPORT_FILE, LANGUAGE, MAX_STEPS or nothing, SCRIPT, ARGUMENTS...]``; the exit code is the script's."""
    report_path, lang, max_steps, *sys.argv = arguments
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    run = ScriptRun(sys.argv[0], int(max_steps) if max_steps else None, lang)
    sys.meta_path.insert(0, TorchImportHook(run.start_watching))
    code, end = run.run()
    if os.getpid() == run.pid:  # not in a process that the script has forked
        Path(report_path).write_text(json.dumps(run.report(code, end)), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
