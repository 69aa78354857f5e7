"""Redacted copies: a folder per recording that appears once it is verified, or not at all. The lake is only read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from mmer_ray.audio.cover import Cover
from mmer_ray.export.formats import FILE_ENDINGS, ROW_FORMATS, export
from mmer_ray.lake.answer_tables import emotions_table, utterances_table, words_table
from mmer_ray.lake.batch import stamped
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import LakeReader
from mmer_ray.publish.exports import corpus_folder
from mmer_ray.publish.refusals import RefusalError, Refused, refused
from mmer_ray.publish.staging import require_new, staged_folder
from mmer_ray.redact.rules import RuleSet
from mmer_ray.redact.utterances import Redacted, WordsDoNotFitError, kinds_left, redact
from mmer_ray.tables import Row

if TYPE_CHECKING:
    from mmer_ray.publish.covered_sound import CoveredSound
    from mmer_ray.publish.hearing import Load

FORMATS = (*FILE_ENDINGS, *ROW_FORMATS)
"""All of them are made of the redacted utterances, and of nothing else that the lake has."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a user asks for."""

    rules: RuleSet
    formats: tuple[str, ...] = ("json",)
    audio: bool = False
    """Whether the sound is published too, covered, heard again and verified."""
    cover: Cover = Cover.TONE


@dataclass(slots=True)
class Outcome:
    """What became of the chosen recordings."""

    published: list[str] = field(default_factory=list)
    """Their recording_ids."""
    refused: list[Refused] = field(default_factory=list)


def redact_many(
    reader: LakeReader, rows: Sequence[Row], redaction: Redaction, folder: Path, load: Load | None = None
) -> Outcome:
    """Publish a redacted copy of each recording among rows of `choose`: `folder/CORPUS/RECORDING_ID/`.

    A copy is verified before it gets its name: the rules find nothing in its text, in its words and in the names of
    its speakers; with `audio`, nothing either in what is now heard (`covered_sound.py`; `load` loads what hears).
    Recordings that cannot be verified are refused. Names of files, metadata and tags are not copied.

    Raises `UsageError` where the folder is taken or cannot be written, `PreflightError` where a model is missing that
    hears a recording again, `LakeError` where the sound of a lake with another key is to be published.
    """
    require_new(folder)
    outcome = Outcome()
    outcome.refused += [
        refused(row, "failed", f"it failed ({row['error_code']})") for row in rows if row["status"] != "scored"
    ]
    with ExitStack() as stack:
        sound = None
        if redaction.audio:
            # What hears takes seconds to import, and text alone needs none of it.
            from mmer_ray.publish.covered_sound import CoveredSound

            sound = stack.enter_context(CoveredSound(reader, redaction.rules, redaction.cover, load))
        for row in rows:
            if row["status"] == "scored":
                # One by one: what a reader is shown of a recording is decided there alone.
                _publish(reader.conversation(row), redaction, sound, folder, outcome)
    return outcome


def _publish(
    one: Conversation, redaction: Redaction, sound: CoveredSound | None, folder: Path, outcome: Outcome
) -> None:
    row = one.recording
    target = folder / corpus_folder(row["corpus"]) / row["recording_id"]
    try:
        with staged_folder(target) as draft:
            _write(one, redaction, sound, draft)
        outcome.published.append(row["recording_id"])
    except RefusalError as refusal:
        outcome.refused.append(refused(row, refusal.reason, str(refusal)))
        with suppress(OSError):
            # Where nothing else is in them.
            target.parent.rmdir()
            folder.rmdir()


def _write(one: Conversation, redaction: Redaction, sound: CoveredSound | None, folder: Path) -> None:
    """Write a recording's files, verified. Raises `RefusalError`."""
    done = _redacted(one, redaction.rules)
    if sound is not None:
        if one.num_erased_speakers:
            raise RefusalError("erased_speaker", "the sound still holds the voice of a speaker who was erased")
        sound.write(one.recording, done, folder)
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
    made = dict.fromkeys(("heard_key", "run_id", "commit_id"))
    stamp = made | {name: row[name] for name in ("recording_id", "corpus", "month", "day")}
    said = [(0, index, one) for index, one in enumerate(done.utterances)]
    felt = [(0, index, emotion) for _, index, one in said for emotion in one.emotions]
    tables = {"utterances": utterances_table(said), "words": words_table(said), "emotions": emotions_table(felt)}
    for name, table in tables.items():
        pq.write_table(stamped(name, table, stamp), folder / f"{name}.parquet", compression="zstd")
