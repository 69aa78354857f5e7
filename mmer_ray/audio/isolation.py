"""Taking the network and every privilege from the process that reads untrusted bytes. Linux only."""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2
"""Kept where the parent has it: root may read files of other users, and the recordings may be such files."""


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityWord(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def isolate() -> str | None:
    """Move this process to a network namespace without any interface, then give up its capabilities.

    Returns why the network could not be left, or None where it was. To be called while the process has one thread.
    Sources: unshare(2), user_namespaces(7), capabilities(7).
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no network namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    refusal = None
    # A process that may do without a user namespace keeps its right to read the files of other users.
    if libc.unshare(CLONE_NEWNET) and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        refusal = os.strerror(ctypes.get_errno())
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _drop_capabilities(libc)
    return refusal


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Without them the process cannot go back to its parent's namespace, nor read its parent's memory."""
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    words = (_CapabilityWord * 2)()
    if libc.capget(ctypes.byref(header), words):
        return
    kept = words[0].permitted & (1 << CAP_DAC_READ_SEARCH)
    remaining = (_CapabilityWord * 2)(_CapabilityWord(kept & words[0].effective, kept, 0))
    libc.capset(ctypes.byref(header), remaining)
