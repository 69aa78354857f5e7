"""The profile `synthetic` on the calls that ship with the package: real models from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.pcm import to_float
from mmer_ray.demo.evaluate import Call, Evaluation, evaluate
from mmer_ray.demo.truth import CALLS, TrueCall, read_truth
from mmer_ray.errors import ErrorCode
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.pipelines.engine import Engine
from mmer_ray.profiles import DecodeOptions, Profile, load_profile
from mmer_ray.records import Clip, Emotion, Recording, ScoredRecording, Task, Utterance, Window

COMPANY = slice(0, 6)
"""Some stereo and some mono calls, for what needs scoring twice."""


@pytest.fixture(scope="module")
def truth() -> list[TrueCall]:
    return read_truth()


def recording(file: str) -> Recording:
    return Recording(uri=str(CALLS / file), root=str(CALLS))


def score(files: Sequence[str], profile: Profile) -> dict[str, ScoredRecording]:
    with Pipeline(profile) as pipeline:
        scored = list(pipeline.score([Task(recording(file)) for file in files]))
    return {Path(one.recording.uri).name: one for one in scored}


@pytest.fixture(scope="module")
def scored(truth: list[TrueCall]) -> dict[str, ScoredRecording]:
    return score([call.file for call in truth], load_profile("synthetic"))


@pytest.fixture(scope="module")
def figures(truth: list[TrueCall], scored: dict[str, ScoredRecording]) -> Evaluation:
    return evaluate([Call(call, scored[call.file].utterances) for call in truth])


def assert_same(left: ScoredRecording, right: ScoredRecording) -> None:
    """The same rows: equal text, speakers and labels; numbers equal but for float rounding."""
    assert (left.audio, left.num_speakers, left.status) == (right.audio, right.num_speakers, right.status)
    assert [plain(one) for one in left.utterances] == [plain(one) for one in right.utterances]
    assert np.array(numbers(left)) == pytest.approx(np.array(numbers(right)), abs=1e-4)


def plain(one: Utterance) -> tuple[object, ...]:
    return (one.channel, one.speaker, one.text, one.language, one.role, *(emotion.label for emotion in one.emotions))


def numbers(scored: ScoredRecording) -> list[float]:
    found = [scored.speech_s, scored.non_speech_s, scored.overlap_s]
    for one in scored.utterances:
        found += [one.start_s, one.end_s, one.asr_logprob or 0.0, one.overlap_s, one.snr_db or 0.0]
        found += [p for emotion in one.emotions for p in emotion.probabilities.values()]
        found += [number for word in one.words for number in (word.start_s or 0.0, word.end_s or 0.0, word.p)]
    return found


@pytest.mark.slow
def test_small_groups_give_the_same_rows_as_large_ones(
    truth: list[TrueCall], scored: dict[str, ScoredRecording]
) -> None:
    small = score([call.file for call in truth[COMPANY]], load_profile("synthetic", ["run.batch_s=20"]))
    for file, one in small.items():
        assert_same(one, scored[file])


def test_a_call_alone_gives_the_same_rows_as_in_company(
    truth: list[TrueCall], scored: dict[str, ScoredRecording]
) -> None:
    for call in truth[1:3]:
        (alone,) = score([call.file], load_profile("synthetic")).values()
        assert_same(alone, scored[call.file])


def test_small_batches_inside_the_stages_give_the_same_rows(
    truth: list[TrueCall], scored: dict[str, ScoredRecording]
) -> None:
    settings = ["transcribe.batch_s=5", "emotion.batch_s=5"]
    for file, one in score([call.file for call in truth[1:3]], load_profile("synthetic", settings)).items():
        assert_same(one, scored[file])


def test_every_second_is_accounted_for(scored: dict[str, ScoredRecording]) -> None:
    for one in scored.values():
        assert one.audio is not None
        assert one.speech_s + one.non_speech_s == pytest.approx(one.audio.duration_s, abs=1e-3)


def test_emotions_asked_alone_are_those_of_the_whole_run(
    truth: list[TrueCall], scored: dict[str, ScoredRecording]
) -> None:
    whole = [scored[call.file] for call in truth[1:3]]
    unscored = [replace(one, utterances=tuple(replace(said, emotions=()) for said in one.utterances)) for one in whole]
    with Pipeline(load_profile("synthetic")) as pipeline:
        again = {
            one.recording.uri: one
            for one in pipeline.score(Task(one.recording, "emotion", replace(one, measures=None)) for one in unscored)
        }
    for one in whole:
        assert_same(again[one.recording.uri], one)
        assert again[one.recording.uri].scorer == one.scorer


def test_an_engine_gives_four_threads_the_answers_of_one(truth: list[TrueCall]) -> None:
    engine = Engine.load(load_profile("synthetic", ["emotion.batch_s=2"]))
    with Decoder(DecodeOptions()) as decoder:
        windows = [
            found for call in truth[:2] for found in decoder.decode(recording(call.file)) if isinstance(found, Window)
        ]
    heard = engine.hear(windows)
    clips = [
        Clip(
            to_float(window.samples[round((one.start_s - window.start_s) * 16_000) :][:32_000]), one.text, one.language
        )
        for window in heard
        for one in window.utterances
    ]
    felt = engine.feel(clips)
    assert len(felt) > 8

    def both(turn: int) -> tuple[list[Window], list[Emotion]]:
        order = (engine.hear, engine.feel) if turn % 2 else (engine.feel, engine.hear)
        answers = {call: call(windows if call == engine.hear else clips) for call in order}  # type: ignore[arg-type]
        return answers[engine.hear], answers[engine.feel]  # type: ignore[return-value]

    with ThreadPoolExecutor(4) as pool:
        for heard_again, felt_again in pool.map(both, range(4)):
            for one, again in zip(heard, heard_again, strict=True):
                assert (again.turns, again.utterances) == (one.turns, one.utterances)
            for emotion, emotion_again in zip(felt, felt_again, strict=True):
                assert emotion_again.label == emotion.label
                assert emotion_again.probabilities == pytest.approx(emotion.probabilities, abs=1e-5)


def test_feeling_leaves_the_process_as_it_is() -> None:
    engine = Engine.load(load_profile("synthetic"))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        engine.feel([Clip(np.zeros(16_000, dtype=np.float32), "hello")] * 4)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_words_are_read(figures: Evaluation) -> None:
    assert figures.wer is not None
    assert figures.wer <= 0.10


def test_speakers_on_one_channel_are_told_apart(figures: Evaluation) -> None:
    assert figures.der is not None
    assert figures.der <= 0.15


def test_parties_on_two_channels_are_never_confused(figures: Evaluation) -> None:
    assert figures.speaker_confusion == 0.0


def test_every_utterance_is_within_half_a_minute_and_has_timed_words(scored: dict[str, ScoredRecording]) -> None:
    utterances = [utterance for one in scored.values() for utterance in one.utterances]
    assert utterances
    for utterance in utterances:
        assert 0 < utterance.end_s - utterance.start_s <= 30
        assert utterance.words[0].start_s == pytest.approx(utterance.start_s, abs=0.1)
        assert utterance.text == " ".join(word.word for word in utterance.words)


def test_a_file_that_is_no_audio_is_a_row_among_scored_ones(truth: list[TrueCall], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio at all")
    wanted = [recording(truth[1].file), Recording(uri=str(broken), root=str(tmp_path)), recording(truth[0].file)]
    with Pipeline(load_profile("synthetic")) as pipeline:
        rows = {one.recording.uri: one for one in pipeline.score(Task(one) for one in wanted)}
    assert len(rows) == 3
    failure = rows[str(broken)].failure
    assert failure is not None
    assert (failure.code, failure.stage) == (ErrorCode.UNRECOGNISED, "decode")
    assert {one.status for uri, one in rows.items() if uri != str(broken)} == {"scored"}


def test_a_window_border_inside_a_call_loses_nothing(truth: list[TrueCall], scored: dict[str, ScoredRecording]) -> None:
    call = max(truth, key=lambda call: call.duration_s if call.channels == 1 else 0)
    (cut,) = score([call.file], load_profile("synthetic", ["decode.window_s=20"])).values()
    whole = scored[call.file]
    assert cut.audio is not None
    assert cut.speech_s + cut.non_speech_s == pytest.approx(cut.audio.duration_s, abs=1e-3)
    assert cut.num_speakers == whole.num_speakers == 2
    words = [sum(len(one.words) for one in result.utterances) for result in (cut, whole)]
    assert words[0] == pytest.approx(words[1], rel=0.05)
