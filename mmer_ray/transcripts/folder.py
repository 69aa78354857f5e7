"""A folder of given files: `NAME.json` and `NAME.rttm` for a recording `NAME.*`, in the same subfolder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import pyarrow as pa

from mmer_ray.errors import SourceError
from mmer_ray.records import Given, Recording
from mmer_ray.transcripts import rttm, whisper_json
from mmer_ray.transcripts.mark import GivenMark, with_mark

ENDINGS = (".json", ".rttm")


class TranscriptFolder:
    """The given files by the recordings' paths below their source, without ending. Files are read when asked for."""

    def __init__(self, folder: str) -> None:
        """Raises `SourceError` for what is no folder, or has no file of the two kinds in it."""
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise SourceError(f"--transcripts {folder} is no folder; name the one that holds NAME.json or NAME.rttm")
        self._names: set[str] = set()
        for parent, _, files in os.walk(self._folder):
            below = Path(parent).relative_to(self._folder)
            self._names.update((below / name).as_posix() for name in files if name.endswith(ENDINGS))
        if not self._names:
            raise SourceError(f"--transcripts {folder} holds no .json and no .rttm file")
        self._used: set[str] = set()

    def marked(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of schema `LISTED`, the digests of the given files in the marks of their recordings.

        Raises `SourceError` for a file that cannot be read as a transcript.
        """
        self._used = set()
        at = None
        for batch in batches:
            at = batch.schema.get_field_index("modified")
            names = (batch.column(name).to_pylist() for name in ("uri", "root", "modified"))
            marks = [self._marked(uri, root, modified) for uri, root, modified in zip(*names, strict=True)]
            yield batch.set_column(at, batch.schema.field(at), pa.array(marks, pa.string()))

    def given(self, recording: Recording) -> Given | None:
        """What is given of a recording; None where nothing is. Raises as `marked`, and for a file that changed."""
        found = self._read(recording.uri, recording.root)
        if found is None:
            return None
        mark, given = found
        if not recording.modified.endswith(with_mark("", mark)):
            raise SourceError(f"{recording.uri}: its transcript changed while the job ran; run the same command again")
        return given

    @property
    def without_recording(self) -> list[str]:
        """The files that no recording of the last listing has, sorted. Complete once `marked` is exhausted."""
        return sorted(self._names - self._used)

    def _marked(self, uri: str, root: str, modified: str) -> str:
        found = self._read(uri, root)
        return modified if found is None else with_mark(modified, found[0])

    def _read(self, uri: str, root: str) -> tuple[GivenMark, Given] | None:
        stem = _stem(uri, root)
        names = [name for ending in ENDINGS if (name := stem + ending) in self._names]
        if not names:
            return None
        self._used.update(names)
        digest = blake2b(digest_size=16)
        given = Given()
        for name in names:
            path = self._folder / name
            try:
                data = path.read_bytes()
            except OSError as exc:
                raise SourceError(f"{path} cannot be read: {exc.strerror}") from exc
            digest.update(f"{name.rpartition('.')[2]} {len(data)} ".encode() + data)
            given = _with(given, data, stem, path)
        return GivenMark(given.words is not None, given.turns is not None, digest.hexdigest()), given


def _with(given: Given, data: bytes, stem: str, path: Path) -> Given:
    """What is given, with one more file of it. The turns of RTTM, which is read last, count before those of JSON."""
    if path.suffix == ".json":
        transcript = whisper_json.parse(data, str(path))
        return Given(transcript.words(), transcript.turns(), *transcript.language_and_p)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SourceError(f"{path} is no text in UTF-8, as RTTM is") from exc
    turns = rttm.parse(text, PurePosixPath(stem).name, str(path))
    return Given(given.words, turns, given.language, given.language_p)


def _stem(uri: str, root: str) -> str:
    """The path of a recording below its root, without its ending.

    >>> _stem("/calls/2026/a.b.wav", "/calls"), _stem("s3://bucket/calls/a.wav", "s3://bucket/calls/")
    ('2026/a.b', 'a')
    """
    home = root.rstrip("/") + "/"
    below = uri.removeprefix(home) if uri.startswith(home) else PurePosixPath(uri).name
    return PurePosixPath(below).with_suffix("").as_posix()
