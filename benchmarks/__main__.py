"""Run every benchmark, or those named: ``python -m benchmarks engines``."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = (
    "startup",
    "compression",
    "streaming",
    "engines",
    "minibatch",
    "estimator",
    "statistics",
    "predictions",
    "watch",
    "doctor",
    "lab",
)

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        import_module(f"benchmarks.bench_{name}").main()
