"""What it costs to import the package and to open its help."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import Row, report, take_turns


def main() -> None:
    python = sys.executable
    command = str(Path(python).parent / "descentlab")
    contestants = {
        "pass": [python, "-c", "pass"],
        "numpy": [python, "-c", "import numpy"],
        "package": [python, "-c", "import numpy, descentlab"],
        "help": [command, "--help"],
        "lesson": [command, "run"],
    }
    runs = {name: partial(subprocess.run, line, check=True, capture_output=True) for name, line in contestants.items()}
    times = take_turns(runs, 15)
    middle = {name: statistics.median(values) for name, values in times.items()}
    added = statistics.median(b - a for a, b in zip(times["numpy"], times["package"], strict=True))
    # The goals were set where a bare `python -c pass` takes 0.02 s, so they scale with it.
    scale = max(1.0, middle["pass"] / 0.02)
    report(
        "startup",
        "Starting",
        [
            Row("python -c pass", f"{middle['pass']:.3f} s"),
            Row("import numpy", f"{middle['numpy']:.3f} s"),
            Row(
                "import descentlab, on top of numpy",
                f"{added:.3f} s",
                "",
                f"at most {0.1 * scale:.2f} s",
                added <= 0.1 * scale,
            ),
            Row(
                "descentlab --help",
                f"{middle['help']:.3f} s",
                "",
                f"under {0.4 * scale:.2f} s",
                middle["help"] < 0.4 * scale,
            ),
            Row("descentlab run (the lesson)", f"{middle['lesson']:.3f} s"),
        ],
    )
