"""Redacted copies: a folder per recording that appears once it is verified, or not at all. The lake is only read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from mmer_ray.audio.cover import Cover
from mmer_ray.errors import AudioError
from mmer_ray.export.formats import FILE_ENDINGS, ROW_FORMATS, export
from mmer_ray.lake.answer_tables import emotions_table, utterances_table, words_table
from mmer_ray.lake.batch import stamped
from mmer_ray.lake.card import recording_id
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake
from mmer_ray.publish.audio_copy import write_copy
from mmer_ray.publish.conversations import conversations
from mmer_ray.publish.exports import corpus_folder
from mmer_ray.publish.hearing import Listeners, Load, load_listener, of_each_channel
from mmer_ray.publish.staging import require_new, staged_folder
from mmer_ray.records import Recording
from mmer_ray.redact.rules import RuleSet
from mmer_ray.redact.utterances import Redacted, WordsDoNotFitError, kinds_left, kinds_said, redact
from mmer_ray.tables import Row
from mmer_ray.transcripts.mark import input_digest

FORMATS = (*FILE_ENDINGS, *ROW_FORMATS)
"""All of them are made of the redacted utterances, and of nothing else that the lake has."""
AUDIO_NAME = "audio.flac"


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a user asks for."""

    rules: RuleSet
    formats: tuple[str, ...] = ("json",)
    audio: bool = False
    """Whether the sound is published too, covered, heard again and verified."""
    cover: Cover = Cover.TONE


@dataclass(frozen=True, slots=True)
class Refused:
    """A recording of which nothing is published."""

    recording_id: str
    corpus: str
    uri: str
    reason: str
    """`failed`, `words_do_not_fit`, `still_in_text`, `no_times`, `no_recognizer`, `audio_changed`, `still_heard`, or
    the code of an `AudioError`."""
    message: str


@dataclass(slots=True)
class Outcome:
    """What became of the chosen recordings."""

    published: list[str] = field(default_factory=list)
    """Their recording_ids."""
    refused: list[Refused] = field(default_factory=list)


class RefusalError(Exception):
    """This recording is not published."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def redact_many(
    reader: LakeReader, rows: Sequence[Row], redaction: Redaction, folder: Path, load: Load = load_listener
) -> Outcome:
    """Publish a redacted copy of each recording among rows of `choose`: `folder/CORPUS/RECORDING_ID/`.

    A copy is verified before it gets its name: the rules find nothing in its text, in its words and in the names of
    its speakers; with `audio`, they find nothing either in what the recognizer now hears, anywhere in the copy.
    Recordings that cannot be verified are refused. Names of files, metadata and tags are not copied.

    Raises `UsageError` where the folder is taken or cannot be written, `PreflightError` where a model is missing that
    hears a recording again, `LakeError` where the sound of a lake with another key is to be published.
    """
    require_new(folder)
    # Only a lake's key tells whether a file still is the one that was scored.
    key = Lake(reader.address).key if redaction.audio else None
    outcome = Outcome()
    outcome.refused += [
        _refused(row, "failed", f"it failed ({row['error_code']})") for row in rows if row["status"] != "scored"
    ]
    with Listeners(reader, load) as listeners:
        for one in conversations(reader, rows):
            row = one.recording
            target = folder / corpus_folder(row["corpus"]) / row["recording_id"]
            try:
                with staged_folder(target) as draft:
                    _write(one, redaction, draft, listeners, key)
                outcome.published.append(row["recording_id"])
            except RefusalError as refusal:
                outcome.refused.append(_refused(row, refusal.reason, str(refusal)))
                with suppress(OSError):
                    # Where nothing else is in them.
                    target.parent.rmdir()
                    folder.rmdir()
    return outcome


def _refused(row: Row, reason: str, message: str) -> Refused:
    return Refused(row["recording_id"], row["corpus"], row["uri"], reason, message)


def _write(one: Conversation, redaction: Redaction, folder: Path, listeners: Listeners, key: bytes | None) -> None:
    """Write a recording's files, verified. Raises `RefusalError`."""
    done = _redacted(one, redaction.rules)
    if key is not None:
        _write_audio(one.recording, done, redaction, folder, listeners, key)
    for fmt in redaction.formats:
        if fmt in ROW_FORMATS:
            _write_rows(one.recording, done, folder)
        else:
            duration_s = one.recording["duration_ms"] / 1000
            text = export(one.recording["recording_id"], done.utterances, fmt, duration_s=duration_s)
            (folder / file_name(fmt)).write_text(text, encoding="utf-8")


def file_name(fmt: str) -> str:
    """The name of a format's file.

    >>> file_name("json"), file_name("whisperx")
    ('conversation.json', 'conversation.whisperx.json')
    """
    ending = FILE_ENDINGS[fmt]
    return f"conversation.{ending}" if ending.casefold() == fmt else f"conversation.{fmt}.{ending}"


def _redacted(one: Conversation, rules: RuleSet) -> Redacted:
    try:
        done = redact(one.utterances, rules)
    except WordsDoNotFitError:
        raise RefusalError("words_do_not_fit", "the words of an utterance are not those of its text") from None
    if left := kinds_left(done.utterances, rules):
        raise RefusalError("still_in_text", f"the rules still find {', '.join(left)} in the redacted text")
    return done


def _write_rows(row: Row, done: Redacted, folder: Path) -> None:
    """Tables with the lake's columns; those that say how and when a row was made are null."""
    place = dict.fromkeys(("heard_key", "run_id", "commit_id"))
    stamp = place | {name: row[name] for name in ("recording_id", "corpus", "month", "day")}
    said = [(0, index, one) for index, one in enumerate(done.utterances)]
    felt = [(0, index, emotion) for _, index, one in said for emotion in one.emotions]
    tables = {"utterances": utterances_table(said), "words": words_table(said), "emotions": emotions_table(felt)}
    for name, table in tables.items():
        pq.write_table(stamped(name, table, stamp), folder / f"{name}.parquet", compression="zstd")


def _write_audio(
    row: Row, done: Redacted, redaction: Redaction, folder: Path, listeners: Listeners, key: bytes
) -> None:
    """Write the covered copy and hear it again. Raises `RefusalError`."""
    if not done.has_all_times:
        raise RefusalError("no_times", "an utterance without words holds what is taken out, and nothing says when")
    listener = listeners.listener_of(row)
    if listener is None:
        raise RefusalError("no_recognizer", "the lake does not say how it was transcribed; score it again")
    path = folder / AUDIO_NAME
    recording = Recording(row["uri"], row["corpus"], modified=row["modified"] or "")
    stretches_s = [(one.start_s, one.end_s) for one in done.stretches]
    try:
        facts = write_copy(listener.decoder, recording, stretches_s, redaction.cover, path)
        if recording_id(input_digest(facts.content_digest, recording.modified), key) != row["recording_id"]:
            raise RefusalError("audio_changed", "the file is not the one that was scored; score it again")
        heard = listener.hear(Recording(str(path), root=str(folder)))
    except AudioError as error:
        raise RefusalError(error.code.value, error.message) from error
    kinds = sorted({kind for said in (heard, of_each_channel(heard)) for kind in kinds_said(said, redaction.rules)})
    if kinds:
        raise RefusalError("still_heard", f"{', '.join(kinds)} is still heard in the covered copy")
