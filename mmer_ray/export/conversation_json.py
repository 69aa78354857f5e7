"""JSON with everything that is known of a conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mmer_ray.records import SpeakerTurn, Utterance


def to_json(recording: str, utterances: Sequence[Utterance]) -> str:
    """All fields of the utterances, their words and emotions: `mmer.conversation/1`."""
    document = {"schema": "mmer.conversation/1", "uri": recording, "utterances": as_rows(utterances)}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_rows(some: Sequence[Utterance | SpeakerTurn]) -> list[dict[str, Any]]:
    """Utterances or turns as plain data, for JSON documents."""
    return [asdict(one) for one in some]
