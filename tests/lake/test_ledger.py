"""Every second is accounted for."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode, LedgerError
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import plan
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import AudioFacts, Recording, ScoredRecording
from tests.lake.makers import FINGERPRINTS, a_run, failed


def write(lake: Lake, answers: list[ScoredRecording]) -> Ledger:
    made = plan([answer.recording for answer in answers], lake, FINGERPRINTS)
    with Writer(lake, a_run(), made) as writer:
        for answer in answers:
            writer.add(answer)
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
        made.append(ScoredRecording(recording, "scored", facts, speech_s=speech_s, non_speech_s=sum(gaps_s) - lost_s))
    return made


def test_thousands_of_recordings_sum_to_the_millisecond(tmp_path: Path) -> None:
    ledger = write(Lake(tmp_path / "lake"), answers(3_000))
    assert ledger.num_scored == 3_000
    assert ledger.difference_s == 0.0
    with open_lake(tmp_path / "lake") as reader:
        assert reader.status().ledger == ledger


def test_a_loss_of_two_milliseconds_in_each_of_a_hundred_recordings_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="the ledger does not sum"):
        write(Lake(tmp_path / "lake"), answers(100, lost_s=0.002))


def test_failed_recordings_count_with_what_their_header_claimed(tmp_path: Path) -> None:
    scored, *broken = answers(3)
    silent = replace(broken[1].recording, expected_s=None)
    ledger = write(Lake(tmp_path / "lake"), [scored, failed(broken[0].recording), failed(silent)])
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


def test_a_recording_without_an_answer_unbalances_even_if_nobody_knows_its_length() -> None:
    with pytest.raises(LedgerError, match="1 recordings without an answer"):
        Ledger(num_planned=1, num_unreached=1).check()


def test_a_tenth_of_a_second_is_the_limit() -> None:
    Ledger(planned_ms=1000, scored_ms=1000, speech_ms=900).check()
    with pytest.raises(LedgerError):
        Ledger(planned_ms=1000, scored_ms=1000, speech_ms=899).check()
