"""The keys that open the online endpoint: several, named, revocable, and only their hashes are kept.

A key is 256 random bits, so one SHA-256 is enough: nobody can try that many. The file is read again whenever it has
changed, so that a revoked key is refused from the next request on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.serve_options import ServeOptions
from mmer_ray.training.whole_files import locked, write_whole

SCHEMA = "mmer.keys/1"
FILE_NAME = "keys.json"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
PREFIX = "mmer_"
"""Lets people and scanners of secrets tell what a key is for."""
NUM_KEY_BYTES = 32
MAX_KEY_CHARS = 512
"""Longer ones are refused unread."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key as the file has it."""

    key_id: str
    """Of this very key: one that is added later under the same name has another, and owns nothing of this one's."""
    name: str
    digest: str
    """SHA-256 of the key, hex."""
    added: str
    """UTC, ISO 8601."""
    revoked: str | None = None
    """When it stopped to be valid; None: it is valid."""


def key_file_path(options: ServeOptions) -> Path:
    """Where the keys of an endpoint lie."""
    return Path(options.keys or Path(options.state) / FILE_NAME)


class KeyFile:
    """The keys in a file. `find` may be called by any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._busy = threading.Lock()
        self._mark: tuple[int, ...] | None = None
        self._keys: tuple[AccessKey, ...] = ()

    def find(self, token: str) -> AccessKey | None:
        """The valid key that `token` is, None where it is none. Raises `PreflightError` for a damaged file.

        It is compared with every key, in constant time each: how long this takes says nothing about which was close.
        """
        if len(token) > MAX_KEY_CHARS:
            return None
        digest = _digest(token)
        found = None
        for key in self.all_keys():
            is_same = hmac.compare_digest(key.digest, digest)
            if is_same and key.revoked is None:
                found = key
        return found

    def all_keys(self) -> tuple[AccessKey, ...]:
        """All keys, the revoked ones too, in the order in which they were added. Raises `PreflightError`."""
        with self._busy:
            mark = _mark(self.path)
            if mark != self._mark:
                # The mark was taken first: a change between the two is seen by the next call.
                self._keys = () if mark is None else _read(self.path)
                self._mark = mark
            return self._keys

    def add(self, name: str) -> str:
        """Make a key; returns it. It is not kept anywhere. Raises `UsageError` for a name that is taken or is none."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"a key cannot be named {name!r}; use 1 to 64 letters, digits, dots, dashes and underscores, "
                "the first one a letter or digit"
            )
        with self._changing() as keys:
            if any(key.name == name and key.revoked is None for key in keys):
                raise UsageError(f"there is a key named {name!r}; revoke it first, or take another name")
            token = PREFIX + secrets.token_urlsafe(NUM_KEY_BYTES)
            keys.append(AccessKey(secrets.token_hex(8), name, _digest(token), _now()))
        return token

    def revoke(self, name: str) -> AccessKey:
        """End a key, at once; returns it. Raises `UsageError` where no valid key has this name."""
        with self._changing() as keys:
            for index, key in enumerate(keys):
                if key.name == name and key.revoked is None:
                    keys[index] = replace(key, revoked=_now())
                    return keys[index]
            valid = ", ".join(key.name for key in keys if key.revoked is None) or "none"
            raise UsageError(f"there is no valid key named {name!r}; valid ones: {valid}")

    @contextmanager
    def _changing(self) -> Iterator[list[AccessKey]]:
        """The keys, to be changed; they are written at the end. One process at a time."""
        self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        with locked(self.path.with_name(f"{self.path.name}.lock")):
            keys = list(_read(self.path)) if self.path.exists() else []
            yield keys
            document = {"schema": SCHEMA, "keys": [asdict(key) for key in keys]}
            write_whole(self.path, json.dumps(document, indent=2) + "\n", FILE_MODE)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes with the file: it is replaced as a whole, so that its inode changes. None where it is not there."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size


def _read(path: Path) -> tuple[AccessKey, ...]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        keys = tuple(_key_of(row) for row in document["keys"])
    except FileNotFoundError:
        return ()
    except (KeyError, TypeError, ValueError) as exc:
        remedy = "bring back a copy of it, or remove it and add the keys again"
        raise PreflightError(f"the key file {path} is damaged ({type(exc).__name__}: {exc}); {remedy}") from exc
    if path.stat().st_mode & 0o077:
        raise PreflightError(f"the key file {path} can be read by others than its owner; run: chmod 600 {path}")
    return keys


def _key_of(row: Any) -> AccessKey:
    key = AccessKey(**row)
    if not all(isinstance(value, str) for value in (key.key_id, key.name, key.digest, key.added)):
        raise TypeError("a key has a value that is no text")
    if not _DIGEST.fullmatch(key.digest):
        raise ValueError(f"the hash of the key {key.name} is none")
    return key
