"""Every second is accounted for."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from mmer_ray.errors import ErrorCode, LedgerError
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import AudioFacts, Recording, ScoredRecording
from tests.lake.makers import a_run, audio_file, failed, listing, plan_of, scored, taken


def write(lake: Lake, answers: list[ScoredRecording]) -> Ledger:
    plan = plan_of([answer.recording for answer in answers], lake, now=datetime.now(UTC) + timedelta(days=1))
    with Writer(lake, a_run(), plan) as writer:
        for answer in answers:
            writer.add(taken(answer))
        return writer.finish()


def answers(count: int, lost_s: float = 0.0) -> list[ScoredRecording]:
    """Of lengths that are whole samples, so that one in sixteen lies half way between two milliseconds."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        recording = Recording(f"/audio/{number:05d}.wav", size_bytes=number + 1, expected_s=1.0)
        duration_s = chance.randint(16_000, 160_000) / 16_000
        gaps_s = [duration_s * share for share in (0.125, 0.3, 0.1)]
        facts = AudioFacts(f"{number:032x}", duration_s, 1, 16_000, "flac", "flac")
        speech_s = duration_s - sum(gaps_s)
        made.append(
            ScoredRecording(recording, "scored", audio=facts, speech_s=speech_s, non_speech_s=sum(gaps_s) - lost_s)
        )
    return made


def test_a_thousand_recordings_sum_to_the_millisecond(tmp_path: Path) -> None:
    ledger = write(Lake(tmp_path / "lake"), answers(1_000))
    assert ledger.num_scored == 1_000
    assert ledger.difference_s == 0.0
    with open_lake(tmp_path / "lake") as reader:
        assert replace(reader.status().ledger, num_received=0) == replace(ledger, num_received=0)


def test_a_loss_of_two_milliseconds_in_each_of_a_hundred_recordings_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="the ledger does not sum"):
        write(Lake(tmp_path / "lake"), answers(100, lost_s=0.002))


def test_failed_recordings_count_with_what_their_header_claimed(tmp_path: Path) -> None:
    heard, *broken = answers(3)
    silent = replace(broken[1].recording, expected_s=None)
    ledger = write(Lake(tmp_path / "lake"), [heard, failed(broken[0].recording), failed(silent)])
    assert (ledger.num_planned, ledger.num_scored, ledger.num_failed) == (3, 1, 2)
    assert ledger.quarantined_ms == 1_000
    assert ledger.planned_ms == ledger.scored_ms + 1_000
    assert ledger.difference_s == 0.0


def test_the_ledger_of_the_lake_counts_each_recording_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    broken, *others = answers(4)
    write(lake, [failed(broken.recording, ErrorCode.IO_ERROR), *others])
    ledger = write(lake, [broken])
    assert (ledger.num_planned, ledger.num_scored) == (1, 1)
    with open_lake(lake.address) as reader:
        whole = reader.status().ledger
    assert (whole.num_planned, whole.num_scored, whole.num_failed) == (4, 4, 0)
    assert whole.difference_s == 0.0


def test_an_answer_that_came_and_is_not_in_the_lake_unbalances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver received is counted as it comes; what the lake holds, by SQL."""
    for name in "ab":
        audio_file(tmp_path / "audio", f"{name}.wav")
    lake, recordings = Lake(tmp_path / "lake"), listing(tmp_path / "audio")
    writer = Writer(lake, a_run(), plan_of(recordings, lake))
    with pytest.raises(LedgerError, match="2 recordings planned, 2 answers received, 1 rows in the lake"), writer:  # noqa: PT012
        writer.add(taken(*map(scored, recordings)))
        (answers, positions), *_ = writer._open
        writer._open = [(answers.only(np.array([True, False])), positions[:1])]
        writer.commit()


def test_lengths_that_the_lake_does_not_hold_as_they_came_unbalance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio_file(tmp_path / "audio", "a.wav")
    lake, recordings = Lake(tmp_path / "lake"), listing(tmp_path / "audio")
    with (  # noqa: PT012
        pytest.raises(LedgerError, match="the ledger does not sum"),
        Writer(lake, a_run(), plan_of(recordings, lake)) as writer,
    ):
        writer.add(taken(*map(scored, recordings)))
        (answers, positions), *_ = writer._open
        results = answers.tables["results"]
        at = results.column_names.index("duration_ms")
        shorter = results.set_column(at, "duration_ms", pc.subtract(results.column("duration_ms"), 500).cast("int32"))
        writer._open = [(Answers({**answers.tables, "results": shorter}), positions)]


def test_a_recording_without_an_answer_unbalances_even_if_nobody_knows_its_length() -> None:
    with pytest.raises(LedgerError, match="1 recordings without an answer"):
        Ledger(num_planned=1, num_unreached=1).check()


def test_a_tenth_of_a_second_is_the_limit() -> None:
    Ledger(planned_ms=1000, scored_ms=1000, speech_ms=900).check()
    with pytest.raises(LedgerError):
        Ledger(planned_ms=1000, scored_ms=1000, speech_ms=899).check()
