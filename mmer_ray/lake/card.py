"""`lake.json`, which says how a lake was made, and the key of its recording_ids."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmer_ray.errors import LakeError
from mmer_ray.lake.files import open_files
from mmer_ray.sources.s3 import error_code, store_errors
from mmer_ray.sources.uris import is_remote
from mmer_ray.tables import SCHEMA_VERSION

CARD_NAME = "lake.json"
DRAFT_NAME = "lake.json.draft"

KEY_VARIABLE = "MMER_LAKE_KEY"
PUBLIC_KEY = b"mmer_ray"
"""The key of recording_ids unless `MMER_LAKE_KEY` is set when the lake is made. Everybody knows it, so ids can be
compared between lakes, and whoever holds an audio file can tell whether a lake has scored it. A private key ends
both."""


@dataclass(frozen=True, slots=True)
class Card:
    """What `lake.json` says."""

    schema_version: int
    key_fingerprint: str
    tables: tuple[str, ...] = ()
    """Tables that were made: one of them that is not there has been lost. Version 1 did not say."""


def read_card(address: str) -> Card | None:
    """None where there is no `lake.json`. Raises `LakeError` on a damaged one and on one of a newer version,
    `PreflightError` where the store cannot be used."""
    try:
        text = _card_text(address)
        card = None if text is None else json.loads(text)
    except (ValueError, OSError) as exc:
        raise LakeError(f"{address}/{CARD_NAME} cannot be read: {exc}; restore it from a copy") from exc
    if text is None:
        return None
    version = card.get("schema_version") if isinstance(card, dict) else None
    if not isinstance(card, dict) or not isinstance(version, int) or version < 1:
        raise LakeError(f"{address}/{CARD_NAME} cannot be read: it names no schema version; restore it from a copy")
    refuse_newer(address, version)
    tables = card.get("tables")
    return Card(version, str(card.get("key_fingerprint")), tuple(tables) if isinstance(tables, list) else ())


def _card_text(address: str) -> bytes | None:
    """The bytes of `lake.json`, None where there is none. Raises OSError, and `PreflightError` as `read_card`."""
    with store_errors(address) if is_remote(address) else nullcontext():
        files, path = open_files(address)
        try:
            # From its start: s3fs then does without a question about its size, whose answer names no reason.
            text: bytes = files.cat_file(f"{path}/{CARD_NAME}", start=0)
        except (FileNotFoundError, NotADirectoryError) as exc:
            if error_code(exc) == "NoSuchBucket":
                raise
            return None
    return text


def refuse_newer(place: str, version: int) -> None:
    """Raise `LakeError` where a later mmer_ray has written."""
    if version > SCHEMA_VERSION:
        raise LakeError(
            f"{place} has schema version {version}, this mmer_ray reads up to {SCHEMA_VERSION}; upgrade mmer_ray"
        )


def write_card(address: str, card: Card, *, is_local: bool) -> None:
    """Write `lake.json`. Raises OSError."""
    document: dict[str, Any] = {
        "format": "mmer_ray lake",
        "schema_version": card.schema_version,
        "key_fingerprint": card.key_fingerprint,
        "tables": list(card.tables),
    }
    text = json.dumps(document, indent=2) + "\n"
    files, path = open_files(address)
    if not is_local:
        files.pipe_file(f"{path}/{CARD_NAME}", text.encode())
        return
    # Renamed into place: a kill in between leaves a name that the next run overwrites.
    draft = Path(path) / DRAFT_NAME
    draft.write_text(text, encoding="utf-8")
    draft.replace(Path(path) / CARD_NAME)


def lake_key() -> bytes:
    """The BLAKE2b key of recording_ids: `MMER_LAKE_KEY`, or the public one."""
    key = os.environ.get(KEY_VARIABLE, "").encode() or PUBLIC_KEY
    if len(key) > hashlib.blake2b.MAX_KEY_SIZE:
        raise LakeError(f"{KEY_VARIABLE} has {len(key)} bytes, at most {hashlib.blake2b.MAX_KEY_SIZE} are allowed")
    return key


def fingerprint(key: bytes) -> str:
    """What `lake.json` keeps of a key: enough to recognise it, too little to use it."""
    return hashlib.blake2b(b"mmer_ray lake key", digest_size=8, key=key).hexdigest()


def recording_id(content_digest: str, key: bytes) -> str:
    """The id of audio in a lake: keyed BLAKE2b-128 of its digest, as 32 hex digits."""
    return hashlib.blake2b(content_digest.encode(), digest_size=16, key=key).hexdigest()


def uri_id(uri: str, key: bytes) -> str:
    """The recording_id of a recording whose bytes could not be read; never equal to that of any bytes."""
    return hashlib.blake2b(uri.encode(), digest_size=16, key=key, person=b"mmer_ray uri").hexdigest()


def erased_hash(name: str, key: bytes) -> str:
    """What `erasures` keeps of an erased uri or recording_id: keyed BLAKE2b-128, 32 hex digits.

    It recognises a name that somebody brings; without the key nobody can try names against it.
    """
    encoded = name.encode("utf-8", "replace")
    return hashlib.blake2b(encoded, digest_size=16, key=key, person=b"mmer_ray erased").hexdigest()
