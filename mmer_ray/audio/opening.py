"""Opening a recording without trusting its name: regular files inside their root only, and a hash of what was read."""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH112, PTH115, PTH116, PTH118, PTH120

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Protocol

from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.sources.uris import local_path

PAGE_BYTES = 4096
DIGEST_BYTES = 16

_CODE_BY_ERRNO = {
    errno.ENOENT: ErrorCode.NOT_FOUND,
    errno.ENOTDIR: ErrorCode.NOT_FOUND,
    errno.ENAMETOOLONG: ErrorCode.NOT_FOUND,
    errno.ELOOP: ErrorCode.SYMLINK_LOOP,
    errno.EACCES: ErrorCode.PERMISSION,
    errno.EPERM: ErrorCode.PERMISSION,
}


class ByteSource(Protocol):
    """Random access to the bytes of one recording."""

    size_bytes: int

    @property
    def waited_s(self) -> float:
        """Seconds spent waiting for bytes so far."""
        ...

    def read_at(self, offset: int, num_bytes: int) -> bytes: ...

    def changed(self) -> bool: ...

    def close(self) -> None: ...


def check_size(source: ByteSource, max_file_bytes: int) -> None:
    """Raise `AudioError` for a source that is empty or too big to be read."""
    if source.size_bytes > max_file_bytes:
        raise AudioError(ErrorCode.FILE_TOO_BIG, f"{source.size_bytes} bytes; at most {max_file_bytes} are read")
    if source.size_bytes == 0:
        raise AudioError(ErrorCode.EMPTY_FILE, "the file has no bytes")


def os_failure(exc: OSError) -> AudioError:
    """The system's refusal in our words; the path stays out of the message."""
    code = _CODE_BY_ERRNO.get(exc.errno or 0, ErrorCode.IO_ERROR)
    return AudioError(code, exc.strerror or type(exc).__name__)


class LocalBytes:
    """A local recording, opened once its links are resolved and found inside its root: the one place that does so.

    `fd` is its descriptor and `status` what it was when it was opened.
    """

    def __init__(self, uri: str, root: str) -> None:
        """`root`: folder or `file://` URL; empty for the file's own folder.

        Raises `AudioError` for whatever is no readable regular file inside its root.
        """
        try:
            path = local_path(uri)
            self._path = path
            self.fd = _open_guarded(path, local_path(root) if root else os.path.dirname(path))
        except OSError as exc:
            raise os_failure(exc) from exc
        except ValueError as exc:
            # An embedded NUL, or characters that no file name can hold.
            raise AudioError(ErrorCode.NOT_FOUND, "no file can have this name") from exc
        self.status = os.fstat(self.fd)
        self.size_bytes = self.status.st_size
        self.waited_s = 0.0

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        began = time.monotonic()
        data = os.pread(self.fd, num_bytes, offset)
        self.waited_s += time.monotonic() - began
        return data

    def changed(self) -> bool:
        """Whether the open file was written to, or its name now leads to another file."""
        try:
            named = os.stat(self._path)
        except OSError:
            return True
        return _mark(os.fstat(self.fd)) != _mark(self.status) or _mark(named) != _mark(self.status)

    def close(self) -> None:
        os.close(self.fd)


def _open_guarded(path: bytes, root: bytes) -> int:
    # The kind of the file is asked before its place: a link to a device is no file, wherever the device lies.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise AudioError(ErrorCode.NOT_A_FILE, "not a regular file")
    resolved, resolved_root = os.path.realpath(path, strict=True), os.path.realpath(root, strict=True)
    if os.path.commonpath([resolved, resolved_root]) != resolved_root:
        raise AudioError(
            ErrorCode.OUTSIDE_ROOT,
            "the file lies outside its root once links are resolved; name its folder with --root",
        )
    # O_NONBLOCK: a FIFO put in the file's place meanwhile must not hang the open.
    fd = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise AudioError(ErrorCode.NOT_A_FILE, "not a regular file")
        _refuse_moved(fd, resolved)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_moved(fd: int, resolved: bytes) -> None:
    """A folder on the way may have been swapped for a link between resolving and opening; Linux can tell."""
    own_fds = b"/proc/self/fd"
    if os.path.isdir(own_fds) and os.readlink(os.path.join(own_fds, str(fd).encode())) != resolved:
        raise AudioError(ErrorCode.CHANGED_DURING_READ, "the file was moved while it was opened")


def _mark(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class BoundedBytes:
    """A source of which at most `max_bytes` are read in all; each read counts as a page or more."""

    def __init__(self, source: ByteSource, max_bytes: int) -> None:
        self._source = source
        self._left_bytes = max_bytes
        self.size_bytes = source.size_bytes

    @property
    def waited_s(self) -> float:
        return self._source.waited_s

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        self._left_bytes -= max(num_bytes, PAGE_BYTES)
        if self._left_bytes < 0:
            raise OSError(errno.EFBIG, "the header is too long to be probed")
        return self._source.read_at(offset, num_bytes)

    def changed(self) -> bool:
        return self._source.changed()

    def close(self) -> None:
        self._source.close()
