"""Functions compiled by numba (the extra ``fast``): every loop lets Python's lock go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

from descentlab.errors import require

F = TypeVar("F", bound=Callable[..., Any])


def jit(signature: Any = None, fastmath: Collection[str] = ()) -> Callable[[F], F]:
    """Compile for a signature, or for the types of each call, and keep it on disk where there is a place for it.

    Args:
        signature: the arguments' types, compiled for at once; None waits for the first call of each types.
        fastmath: what the compiler may do to floating point, as LLVM calls it; nothing by default.
    """
    numba = require("numba", "numba", "fast", "compiled")
    settings = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}

    def decorate(kernel: F) -> F:
        signatures = () if signature is None else (signature,)
        compile_kernel = partial(numba.njit, *signatures, **settings)
        try:
            compiled_kernel: F = compile_kernel(cache=True)(kernel)
        except RuntimeError:  # a package in an archive, or no folder that can be written to
            compiled_kernel = compile_kernel(cache=False)(kernel)
        return compiled_kernel

    return decorate
