"""Lhotse manifests (lhotse.readthedocs.io, "Representing a corpus"): `recordings.jsonl.gz`, `supervisions.jsonl.gz`.

The layout is written from its documentation; the `lhotse` package is not needed. Both files load lazily there:
`RecordingSet.from_file`, `SupervisionSet.from_file`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from mmer_ray.export.exported import Exported
from mmer_ray.export.word_times import timed_words
from mmer_ray.records import Utterance

RECORDINGS = "recordings.jsonl.gz"
SUPERVISIONS = "supervisions.jsonl.gz"


class LhotseFolder:
    """Writes both manifests into a folder, a conversation at a time; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._exit = ExitStack()
        self._recordings = self._exit.enter_context(_opened(folder / RECORDINGS))
        self._supervisions = self._exit.enter_context(_opened(folder / SUPERVISIONS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def add(self, one: Exported) -> None:
        """Append a recording and a supervision for each of its utterances."""
        self._recordings.write(_line(recording_of(one)))
        self._supervisions.writelines(map(_line, supervisions_of(one)))


def recording_of(one: Exported) -> dict[str, Any]:
    """The `Recording`. Ids are unique in a manifest, so its own has the corpus; the file is read from where it lies."""
    channels = list(range(one.channels))
    kind = "url" if "://" in one.uri else "file"
    return {
        "id": _id(one),
        "sources": [{"type": kind, "channels": channels, "source": one.uri}],
        "sampling_rate": one.sample_rate_hz,
        "num_samples": round(one.duration_s * one.sample_rate_hz),
        "duration": one.duration_s,
        "channel_ids": channels,
    }


def supervisions_of(one: Exported) -> Iterator[dict[str, Any]]:
    """A `SupervisionSegment` per utterance. The `word` alignment has [symbol, start, duration, score], in seconds of
    the recording; words without times get some as `word_times.timed_words` says. Emotion lies in `custom`."""
    for index, said in enumerate(one.utterances):
        words = [
            [word.word, round(word.start_s, 3), _duration_s(word.start_s, word.end_s), word.p]
            for word in timed_words(said)
        ]
        segment = {
            "id": f"{_id(one)}-{index}",
            "recording_id": _id(one),
            "start": said.start_s,
            "duration": _duration_s(said.start_s, said.end_s),
            # Three channels and more are mixed to one, which is no channel of the file's.
            "channel": said.channel if one.channels <= 2 else list(range(one.channels)),
            "text": said.text,
            "language": said.language,
            "speaker": f"{_id(one)}-{said.speaker}",
            "custom": _custom(one, said),
            "alignment": {"word": words} if words else None,
        }
        yield {name: value for name, value in segment.items() if value is not None}


def _custom(one: Exported, said: Utterance) -> dict[str, Any]:
    custom: dict[str, Any] = {"corpus": one.corpus, "speaker_in_recording": said.called, "role": said.role}
    if said.emotions:
        felt = said.emotions[0]
        names = ("scorer", "label", "confidence", "valence", "arousal", "dominance", "skip_reason")
        emotion = {name: getattr(felt, name) for name in names} | {"probabilities": dict(felt.probabilities)}
        custom["emotion"] = {name: value for name, value in emotion.items() if value is not None}
    return {name: value for name, value in custom.items() if value is not None}


def _id(one: Exported) -> str:
    return f"{one.corpus}-{one.recording_id}"


def _duration_s(start_s: float, end_s: float) -> float:
    # Differences of whole milliseconds are whole milliseconds; floats would write 0.30000000000000004.
    return round(end_s - start_s, 3)


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _opened(path: Path) -> IO[str]:
    return gzip.open(path, "wt", encoding="utf-8", newline="\n")
