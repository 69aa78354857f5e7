"""The sound of a redacted copy: covered, then heard again."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from mmer_ray.audio.cover import Cover
from mmer_ray.errors import AudioError
from mmer_ray.lake.card import recording_id
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake
from mmer_ray.publish.audio_copy import write_copy
from mmer_ray.publish.hearing import Listener, Listeners, Load, load_listener, of_each_channel
from mmer_ray.publish.refusals import RefusalError
from mmer_ray.records import Recording
from mmer_ray.redact.rules import RuleSet
from mmer_ray.redact.utterances import Redacted, kinds_said
from mmer_ray.tables import Row
from mmer_ray.transcripts.mark import input_digest

AUDIO_NAME = "audio.flac"


class CoveredSound:
    """Writes and verifies the sound of one recording after the other; a context manager, which owns the models."""

    def __init__(self, reader: LakeReader, rules: RuleSet, cover: Cover, load: Load | None = None) -> None:
        """Raises `LakeError` for a lake with another key: only its key tells whether a file is the one that was
        scored."""
        self._key = Lake(reader.address).key
        self._rules, self._cover = rules, cover
        self._listeners = Listeners(reader, load or load_listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listeners.close()

    def write(self, row: Row, done: Redacted, folder: Path) -> None:
        """Write the covered copy of a recording (a row of `choose`) into `folder` and hear it again.

        Raises `RefusalError` where the rules find anything in what is heard now, anywhere in the copy: what the first
        transcript has missed must not be published either. Raises `PreflightError` where a model is missing.
        """
        if not done.has_all_times:
            raise RefusalError("no_times", "an utterance without words holds what is taken out, and nothing says when")
        listener = self._listeners.listener_of(row)
        if listener is None:
            raise RefusalError("no_recognizer", "the lake does not say how it was transcribed; score it again")
        try:
            self._write(listener, row, done, folder)
            heard = listener.hear(Recording(str(folder / AUDIO_NAME), root=str(folder)))
        except AudioError as error:
            raise RefusalError(error.code.value, error.message) from error
        kinds = {kind for said in (heard, of_each_channel(heard)) for kind in kinds_said(said, self._rules)}
        if kinds:
            raise RefusalError("still_heard", f"{', '.join(sorted(kinds))} is still heard in the covered copy")

    def _write(self, listener: Listener, row: Row, done: Redacted, folder: Path) -> None:
        recording = Recording(row["uri"], row["corpus"], modified=row["modified"] or "")
        stretches_s = [(one.start_s, one.end_s) for one in done.stretches]
        facts = write_copy(listener.decoder, recording, stretches_s, self._cover, folder / AUDIO_NAME)
        if recording_id(input_digest(facts.content_digest, recording.modified), self._key) != row["recording_id"]:
            raise RefusalError("audio_changed", "the file is not the one that was scored; score it again")
