"""Files that processes share: written in one step, and changed by one process at a time.

A file is written under a temporary name, flushed to the disk and renamed, so after a crash or on a full disk the
previous file is still there. Whoever reads a file, changes it and writes it again holds its lock meanwhile.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

WaitCallback = Callable[[str], object]  # called once, with the holder of the lock
LOCK_POLL = 0.05  # seconds between two attempts to lock
NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    with open_atomically(path) as file:
        file.write(data)


@contextmanager
def open_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to; it is there, complete, once the ``with`` block has ended without an error.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    target = Path(path).resolve()  # write the target of a symbolic link, and keep the link
    check_writable(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete what processes that were killed while writing this file left; call it under the file's lock."""
    target = Path(path).resolve()
    for leftover in target.parent.glob(f".{escape(target.name)}.*.new"):
        if leftover.name.split(".")[-2].isdigit():
            leftover.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that :func:`write_atomically` would raise, as far as this can be known before writing."""
    target = Path(path).resolve()
    error_number = 0
    if target.is_dir():
        error_number = errno.EISDIR
    elif not target.parent.exists():
        error_number = errno.ENOENT
    elif not target.parent.is_dir():
        error_number = errno.ENOTDIR
    elif target.exists() and not target.is_file():  # renaming a file to a device or pipe would replace it
        error_number = errno.EINVAL
    elif not os.access(target.parent, os.W_OK):
        error_number = errno.EACCES
    if error_number:
        raise OSError(error_number, os.strerror(error_number), str(path))


@contextmanager
def hold_lock(path: str | os.PathLike[str], on_wait: WaitCallback | None = None) -> Iterator[None]:
    """Let one process at a time change a file; the others wait. A process that ends, or is killed, lets go.

    The lock is an advisory lock on ``.NAME.lock`` beside the file, which is deleted afterwards. Where a file system has
    no locks, nothing is locked.

    Args:
        path: the file that is read and then written.
        on_wait: called once if the lock is held, with the process that holds it.
    """
    target = Path(path).resolve()
    lock_path = target.with_name(f".{target.name}.lock")
    descriptor = _acquire(lock_path, on_wait)
    try:
        with suppress(OSError):  # the holder's name is a courtesy
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} ({socket.gethostname()})".encode())
        yield
    finally:
        with suppress(OSError):  # on Windows, an open file cannot be deleted
            lock_path.unlink()
        os.close(descriptor)


def _acquire(lock_path: Path, on_wait: WaitCallback | None) -> int:
    while True:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            while not _try_lock(descriptor):
                if on_wait is not None:
                    on_wait(_holder(lock_path))
                    on_wait = None
                time.sleep(LOCK_POLL)
            # Whoever held it before may have deleted the file between our opening and our locking it.
            if _is_file_at(descriptor, lock_path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(lock_path: Path) -> str:
    try:
        return lock_path.read_text(errors="replace").strip() or "?"
    except OSError:
        return "?"


def _try_lock(descriptor: int) -> bool:
    """Whether this process has the lock now."""
    try:
        _lock(descriptor)
    except OSError as cause:
        if cause.errno in NOT_SUPPORTED:
            return True
        if cause.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        msvcrt: Any = __import__("msvcrt")
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
