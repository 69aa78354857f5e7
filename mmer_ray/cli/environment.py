"""Errors of the machine, the network and other people's packages, told from bugs in this one.

An exception is known by the package and the name of its class, so that nothing heavy is imported to look at it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = "mmer_ray"

BY_ERRNO = {
    errno.ENOSPC: "free some space, or name another folder",
    errno.EDQUOT: "free some space, or name another folder",
    errno.EROFS: "that file system is read-only; name another folder",
    errno.EACCES: "give this user the permission, or name another folder",
    errno.EPERM: "give this user the permission, or name another folder",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a part of that path is a file; name another folder",
    errno.EISDIR: "that is a folder; name a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "this machine has too many files open; close some programs",
    errno.ENOMEM: "free some memory, or use fewer actors (--set run.max_actors=1)",
}
UNKNOWN_OS_ERROR = "check that disk or machine and run this again"
NETWORK = "check the network and the address, then run this again"
LAKE = "the lake may be damaged: restore the missing files from a copy, or name another lake"
CLUSTER = "check the cluster and RAY_ADDRESS and run this again, or add --runner inprocess"
CREDENTIALS = "check the credentials, AWS_ENDPOINT_URL and the network, then run this again"
MEMORY = "free some memory, or use fewer actors (--set run.max_actors=1) and smaller batches (--set emotion.batch_s=30)"


class _Kind(NamedTuple):
    """Exceptions that are no bugs of this package."""

    package: str
    """Top package of the module that the class names as its own; of compiled packages it is an inner one."""
    names: frozenset[str] | None
    """Class names; None: every exception of that package."""
    what: str
    remedy: str


STORE_REFUSES = "the object store has refused or cannot be reached"
KINDS = (
    _Kind("_internal", frozenset({"SchemaMismatchError"}), "", ""),
    _Kind("_internal", frozenset({"DeltaError"}), "a table of the lake cannot be read or written", LAKE),
    _Kind("deltalake", None, "a table of the lake cannot be read or written", LAKE),
    _Kind("pyo3_runtime", None, "the library below the lake's tables has crashed", LAKE),
    _Kind("_duckdb", frozenset({"OutOfMemoryException"}), "out of memory", MEMORY),
    # Of its other classes Binder, Catalog and Parser mean that a statement of ours is wrong.
    _Kind(
        "_duckdb",
        frozenset({"IOException", "HTTPException", "InvalidInputException", "SerializationException"}),
        "a file of the lake cannot be read",
        LAKE,
    ),
    _Kind("botocore", None, STORE_REFUSES, CREDENTIALS),
    _Kind("aiobotocore", None, STORE_REFUSES, CREDENTIALS),
    _Kind("s3fs", None, STORE_REFUSES, CREDENTIALS),
    _Kind("fsspec", None, "a file system cannot be used", NETWORK),
    _Kind("aiohttp", None, "the network has failed", NETWORK),
    _Kind("urllib3", None, "the network has failed", NETWORK),
    _Kind("ray", None, "the Ray cluster has failed", CLUSTER),
)
"""The first that fits decides; one without words is a bug. ArrowInvalid is missing on purpose: it says that rows of
ours do not fit their schema."""


def root_cause(error: BaseException) -> BaseException:
    """The error that a Ray worker has passed on, where `error` only carries it; else `error` itself."""
    while any(package == "ray" for package, _ in _classes(error)):
        carried = getattr(error, "cause", None) or error.__cause__
        if not isinstance(carried, BaseException) or carried is error:
            break
        error = carried
    return error


def explain_environment(error: BaseException) -> str | None:
    """What failed and what to do about it, on one line; None where the error is a bug."""
    if isinstance(error, ImportError):
        return _missing_package(error)
    if isinstance(error, MemoryError):
        return f"out of memory; {MEMORY}"
    for package, name in _classes(error):
        for kind in KINDS:
            if package == kind.package and (kind.names is None or name in kind.names):
                return f"{kind.what}: {_first_line(error)}; {kind.remedy}" if kind.what else None
    return _os_error(error) if isinstance(error, OSError) else None


def _classes(error: BaseException) -> Iterator[tuple[str, str]]:
    """(top package, name) of the error's class and of those it derives from."""
    for one in type(error).__mro__:
        yield one.__module__.partition(".")[0], one.__name__


def _missing_package(error: ImportError) -> str | None:
    package = (error.name or "").partition(".")[0]
    if not package or package == PACKAGE:
        return None
    return f"the package {package} is missing or broken ({_first_line(error)}); install it: pip install {package}"


def _os_error(error: OSError) -> str:
    if error.errno == errno.ENOENT and error.filename is None and not _has_working_directory():
        return "the working directory has been deleted; change to another one"
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"no connection: {_first_line(error)}; {NETWORK}"
    place = f"{error.filename}: " if error.filename is not None else ""
    reason = error.strerror or _first_line(error)
    return f"{place}{reason}; {BY_ERRNO.get(error.errno or 0, UNKNOWN_OS_ERROR)}"


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".;") if lines else type(error).__name__
