"""Where a lake may lie."""

from __future__ import annotations

import re
from pathlib import Path

from mmer_ray.errors import LakeError
from mmer_ray.lake.card import DRAFT_NAME, KEY_VARIABLE, PUBLIC_KEY, Card, fingerprint, read_card
from mmer_ray.lake.files import first_names
from mmer_ray.lake.lease import LEASE_NAME
from mmer_ray.lake.lock import LOCK_NAME
from mmer_ray.sources.s3 import bucket_and_key, store_errors
from mmer_ray.sources.uris import is_remote

_UNFIT_IN_PATH = re.compile(r"[*?\[\]|^\\%\x00-\x1f]")
"""deltalake panics on some of these in a table's address, DuckDB takes others for a pattern (1.6.6, 2.0.0)."""

_PARTITION_IN_PATH = re.compile(r"(^|/)(corpus|month)=")
"""DuckDB would read every row's corpus or month from that folder."""


def checked_address(given: str | Path) -> str:
    """An absolute path, or an `s3://` prefix without a slash at its end. Raises `LakeError` for what can be neither."""
    text = str(given).removeprefix("file://")
    if "://" in text and not (is_remote(text) and bucket_and_key(text)[0]):
        raise LakeError(f"{text}: a lake lies in a folder or below s3://BUCKET/PREFIX; name one of these")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        # deltalake and DuckDB take addresses as UTF-8 only.
        raise LakeError(f"{text!a}: a lake's path must be UTF-8; rename the folder or choose another one") from exc
    address = text.rstrip("/") if is_remote(text) else str(Path(text).absolute())
    if found := _UNFIT_IN_PATH.search(address):
        raise LakeError(f"a lake's path cannot contain {found.group()!r}: {address}; choose another folder")
    if _PARTITION_IN_PATH.search(address):
        raise LakeError(f"{address}: a lake cannot lie in a folder called corpus=... or month=..., its own are")
    return address


def holds_other_things(address: str) -> bool:
    """Say whether a place without `lake.json` is not empty. Raises `PreflightError`."""
    if is_remote(address):
        with store_errors(address):
            return any(name != LEASE_NAME for name in first_names(address, most=2))
    folder = Path(address)
    if not folder.exists():
        return False
    if not folder.is_dir():
        return True
    return any(entry.name not in {LOCK_NAME, DRAFT_NAME} for entry in folder.iterdir())


def own_card(address: str, key: bytes, *, to_read: bool) -> Card | None:
    """What a lake says of itself, None where there is none. `key` is the reader's.

    Raises as `read_card`, and `LakeError` where other things lie there or, unless it is only to be read, where the lake
    was made with another key.
    """
    card = read_card(address)
    if card is None:
        if (not is_remote(address) or not to_read) and holds_other_things(address):
            remedy = "the folder that `mmer score --lake` made" if to_read else "an empty or a new folder"
            raise LakeError(f"{address} is not empty and not a lake; name {remedy}")
        return None
    if not to_read and card.key_fingerprint != fingerprint(key):
        remedy = f"set {KEY_VARIABLE} to the key it was made with"
        if card.key_fingerprint == fingerprint(PUBLIC_KEY):
            remedy = f"it has the public key, so unset {KEY_VARIABLE}"
        raise LakeError(f"the lake {address} was made with another key: {remedy}, or name another folder")
    return card
