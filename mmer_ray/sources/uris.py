"""Addresses of recordings and the paths behind them.

A local uri is an absolute path; a name that is not UTF-8 becomes a `file://` URL with its bytes percent-encoded. A
recording whose bytes are a cell of a Parquet file is `parquet://`, the file's path, `/` and the number of its row.
"""

from __future__ import annotations

import os
import re
import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

SUPPORTED = "paths, file:// URLs and s3:// addresses"
_FILE_URL = "file://"
_ROW_URL = "parquet://"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_remote(uri: str) -> bool:
    return uri.startswith("s3://")


def unsupported_scheme(uri: str) -> str | None:
    """`gs://` of an address that nothing here can open, None for one that can be opened.

    >>> unsupported_scheme("gs://bucket/a.wav"), unsupported_scheme("s3://bucket/a.wav"), unsupported_scheme("a.wav")
    ('gs://', None, None)
    """
    scheme = _SCHEME.match(uri)
    return None if scheme is None or scheme[0] in ("s3://", _FILE_URL) else scheme[0]


def is_row(uri: str) -> bool:
    return uri.startswith(_ROW_URL)


def row_uri(path: bytes, row: int) -> str:
    """The uri of a row of a local Parquet file, the first being 0. Uris of one file sort as its rows do.

    >>> row_uri(b"/data/a b.parquet", 17)
    'parquet:///data/a%20b.parquet/000000017'
    """
    return f"{_ROW_URL}{quote_from_bytes(path, safe='/')}/{row:09}"


def row_address(uri: str) -> tuple[bytes, int]:
    """The path of the file and the number of the row that `row_uri` made a uri of. Raises ValueError."""
    path, _, row = uri.removeprefix(_ROW_URL).rpartition("/")
    return unquote_to_bytes(path), int(row)


def local_uri(path: bytes) -> str:
    """The uri of an absolute local path."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return _FILE_URL + quote_from_bytes(path, safe="/")


def local_path(uri: str) -> bytes:
    """The path behind a local uri. Raises ValueError where no path can be meant."""
    if not uri.startswith(_FILE_URL):
        return uri.encode() if uri.isascii() else os.fsencode(uri)
    path = unquote_to_bytes(uri.removeprefix(_FILE_URL).removeprefix("localhost"))
    if not path.startswith(b"/"):
        raise ValueError("a file:// URL names a file of this machine: file:///folder/name")
    return path


def spellings(name: str) -> list[str]:
    """Ways to write the same name, the given one first: blanks around it dropped, letters composed or decomposed.

    macOS stores `é` as two code points (NFD), most other systems write one (NFC): a list of names that was made on one
    does not meet the files on the other.
    """
    trimmed = name.strip()
    others = [unicodedata.normalize(form, text) for text in (name, trimmed) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([name, trimmed, *others]))
