"""Addresses of recordings and the paths behind them.

A local uri is an absolute path; a name that is not UTF-8 becomes a `file://` URL with its bytes percent-encoded.
"""

from __future__ import annotations

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes


def is_remote(uri: str) -> bool:
    return uri.startswith("s3://")


def local_uri(path: bytes) -> str:
    """The uri of an absolute local path."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return "file://" + quote_from_bytes(path, safe="/")


def local_path(uri: str) -> bytes:
    """The path behind a local uri. Raises ValueError where no path can be meant."""
    return unquote_to_bytes(uri.removeprefix("file://")) if uri.startswith("file://") else os.fsencode(uri)
