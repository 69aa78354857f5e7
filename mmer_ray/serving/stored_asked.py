"""What a job was asked, as bytes that outlive the gateway. Its sound lies in a file beside them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from mmer_ray.records import Expected
from mmer_ray.serving.interface import Asked, KnownSpeaker


def packed(asked: Asked) -> bytes:
    """What is asked, without the sound. Equal wishes give equal bytes."""
    document = {
        "languages": asked.expected.languages,
        "keywords": asked.expected.keywords,
        "prompt": asked.expected.prompt,
        "known_speakers": [
            {"name": speaker.name, "sound": base64.b64encode(speaker.sound).decode()}
            for speaker in asked.known_speakers
        ],
    }
    return json.dumps(document, sort_keys=True).encode()


def unpacked(stored: bytes, sound: Path) -> Asked:
    """What `packed` was given, as a job asks it."""
    document = json.loads(stored)
    speakers = document["known_speakers"]
    return Asked(
        sound=sound,
        expected=Expected(tuple(document["languages"]), tuple(document["keywords"]), document["prompt"]),
        known_speakers=tuple(KnownSpeaker(one["name"], base64.b64decode(one["sound"])) for one in speakers),
        is_job=True,
    )
