"""The 121 cases of the reliability table, in its order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mmer_ray.sources.uris import local_uri
from tests.bad_audio import bombs, codecs, headers, hostile, sounds
from tests.bad_audio.case import Case
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice


def all_cases() -> list[Case]:
    return [*headers.cases(), *codecs.cases(), *sounds.cases(), *bombs.cases(), *hostile.cases()]


def write_cases(folder: Path, cases: Iterable[Case]) -> dict[str, str]:
    """Write the files into `folder/audio`, a secret that none may reach beside it; case id -> uri."""
    audio, outside = folder / "audio", folder / "outside"
    audio.mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.wav").write_bytes(wav16(voice()))
    uris = {}
    for case in cases:
        path = Path(os.fsdecode(audio / os.fsdecode(case.name)))
        case.make(path)
        uris[case.id] = local_uri(os.fsencode(path.absolute()))
    return uris
