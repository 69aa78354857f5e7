"""Tasks as bytes, for the way from the driver to an actor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import TypeAdapter

from mmer_ray.records import Task

_TASKS = TypeAdapter(tuple[Task, ...])


def pack(tasks: Sequence[Task]) -> bytes:
    """Tasks as JSON. A lone surrogate, which is no text, becomes a question mark, as it does in the lake."""
    text = json.dumps([asdict(task) for task in tasks], ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def unpack(packed: bytes) -> tuple[Task, ...]:
    """The tasks that `pack` was given."""
    return _TASKS.validate_json(packed)
