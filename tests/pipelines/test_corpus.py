"""Decode, hear, join, feel, link: with a decoder and an engine made of plain values."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Queue

import numpy as np
import pytest

from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError, ErrorCode, Flag, UsageError
from mmer_ray.pipelines.clock import Clock
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.pipelines.engine import Engine
from mmer_ray.pipelines.scoring import WorkStoppedError
from mmer_ray.profiles import EmotionOptions, LinkOptions, Profile, RunOptions
from mmer_ray.recognizers.interface import Chunk, Transcript
from mmer_ray.records import (
    SAMPLE_RATE_HZ,
    AudioFacts,
    Clip,
    Emotion,
    Expected,
    Given,
    GivenWord,
    Recording,
    Restart,
    ScoredRecording,
    Task,
    Window,
)
from tests.members import EnergyDiarizer, LoudnessScorer, OneWordRecognizer, RelativeLoudnessScorer, plain_engine

WINDOW_S = 10.0
SOON_S = 60.0


class PlainDecoder:
    """Decodes a uri like `25s` to 25 s in windows of 10 s; `12s!` fails with `decode_error` after 12 s.

    One second of three is noise and the rest is silent, but for seconds 9 and 10, which are one breath over the first
    border.
    """

    def __init__(self) -> None:
        self.decoded_s = 0.0
        self.asked = 0
        self.open = 0

    def decode(self, recording: Recording, needed: object = None) -> Generator[Window | AudioFacts, None, None]:
        self.asked += 1
        self.open += 1
        duration_s = float(recording.uri.rstrip("!").rstrip("s"))
        sound = channel(duration_s)
        try:
            for index in range(int(np.ceil(duration_s / WINDOW_S))):
                start_s, end_s = index * WINDOW_S, min(duration_s, (index + 1) * WINDOW_S)
                self.decoded_s += end_s - start_s
                begin, end = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
                yield Window(recording, index, 0, start_s, end_s, sound[begin:end])
            if recording.uri.endswith("!"):
                raise AudioError(ErrorCode.DECODE_ERROR, "it is broken")
            yield AudioFacts("0" * 32, duration_s, 1, SAMPLE_RATE_HZ, "pcm", "wav")
        finally:
            self.open -= 1


def channel(duration_s: float) -> np.ndarray:
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(round(duration_s)).integers(500, 9_000, len(time_s))
    is_loud = (time_s % 3 < 1) | ((time_s >= 9) & (time_s < 11))
    return np.where(is_loud, noise, 0).astype(np.int16)


def tasks(*uris: str) -> list[Task]:
    return [Task(Recording(uri=uri)) for uri in uris]


def profile(**run: float) -> Profile:
    return Profile(name="test", run=RunOptions.model_validate({"max_wait_s": 0.01, **run}))


def score(*uris: str, engine: Engine | None = None, slots: int = 1, **run: float) -> list[ScoredRecording]:
    with Pipeline(profile(**run), decoder=PlainDecoder(), engine=engine or plain_engine(), slots=slots) as pipeline:
        return list(pipeline.score(tasks(*uris)))


def answers(scored: Iterable[ScoredRecording]) -> dict[str, ScoredRecording]:
    """Everything but the wall times, by uri."""
    return {one.recording.uri: replace(one, stage_seconds={}) for one in scored}


class Watched(Engine):
    """A plain engine that can be told what to do with each batch before it is heard."""

    def __init__(self) -> None:
        super().__init__(EnergyDiarizer(), OneWordRecognizer(), LoudnessScorer())
        self.heard_s: list[float] = []

    def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
        self.heard_s.append(sum(window.end_s - window.start_s for window in windows))
        return super().hear(windows, clock)


class ByChannelDecoder(PlainDecoder):
    """The same, where every window holds one party by its channel."""

    def decode(self, recording: Recording, needed: object = None) -> Generator[Window | AudioFacts, None, None]:
        for found in super().decode(recording):
            yield replace(found, one_speaker=True) if isinstance(found, Window) else found


class Listening(LoudnessScorer):
    """Counts the clips that it is asked about."""

    def __init__(self, *, reads_dialogue: bool = False) -> None:
        super().__init__(reads_dialogue=reads_dialogue)
        self.num_asked = 0

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        self.num_asked += len(clips)
        return super().predict(clips)


@pytest.mark.parametrize("reads_dialogue", [False, True])
def test_whoever_may_not_be_scored_is_heard_and_no_model_is_asked(reads_dialogue: bool) -> None:
    scorer = Listening(reads_dialogue=reads_dialogue)
    engine = Engine(EnergyDiarizer(), OneWordRecognizer(), scorer)
    for role, is_scored in (("customer", True), ("agent", False)):
        bound = profile().model_copy(
            update={
                "link": LinkOptions(channel_roles=(role, "other")),
                "emotion": EmotionOptions(roles=("customer",) if is_scored else ("other",)),
            }
        )
        with Pipeline(bound, decoder=ByChannelDecoder(), engine=engine, slots=1) as pipeline:
            (found,) = pipeline.score(tasks("25s"))
            known = replace(found, utterances=tuple(replace(one, emotions=()) for one in found.utterances))
            (again,) = pipeline.score([Task(found.recording, "emotion", known)])
        assert found.utterances
        for one in (found, again):
            emotions = [emotion for said in one.utterances for emotion in said.emotions]
            assert len(emotions) == len(found.utterances)
            assert {emotion.skip_reason for emotion in emotions} == {None if is_scored else "policy"}
            assert all(bool(emotion.probabilities) is is_scored for emotion in emotions)
        assert scorer.num_asked == 2 * len(found.utterances), "asked twice about the customer, never about the agent"


def test_a_model_that_adapts_to_speakers_leaves_the_answers_of_a_policy_as_they_are() -> None:
    engine = Engine(EnergyDiarizer(), OneWordRecognizer(), RelativeLoudnessScorer())
    withheld = Emotion(engine.scorer, None, skip_reason="policy")
    described = np.array([0.5], np.float32)
    first, second = engine.conclude([withheld, described], ["S1", "S2"])
    assert first == withheld
    assert second.label == "neutral"


def test_a_given_transcript_of_a_recording_with_a_party_on_each_channel_is_refused_once() -> None:
    given = Given(words=(GivenWord("so", 1.0, 1.5, 0.5),))
    asked = [Task(Recording(uri="25s"), given=given), Task(Recording(uri="12s"))]
    with Pipeline(profile(), decoder=ByChannelDecoder(), engine=plain_engine(), slots=1) as pipeline:
        found = list(pipeline.score(asked))

    assert sorted((one.recording.uri, one.status) for one in found) == [("12s", "scored"), ("25s", "failed")]
    failure = next(one.failure for one in found if one.recording.uri == "25s")
    assert failure is not None
    assert failure.code == ErrorCode.BAD_CHANNELS


def test_given_words_are_said_by_who_speaks_and_those_in_no_window_flag_the_recording() -> None:
    words = tuple(GivenWord(text, at, at + 0.4, 0.5) for text, at in (("one", 3.1), ("border", 9.9), ("late", 90.0)))
    with Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine(), slots=1) as pipeline:
        whole, late = pipeline.score(
            [Task(Recording(uri="25s"), given=Given(words[:2])), Task(Recording(uri="40s"), given=Given(words))]
        )

    for one in (whole, late):
        assert [said.text for said in one.utterances] == ["one", "border"]
    flags = {one.recording.uri: one.audio.flags for one in (whole, late) if one.audio}
    assert flags == {"25s": (), "40s": (Flag.TRANSCRIPT_MISMATCH,)}


def test_every_recording_comes_out_once_with_all_it_says() -> None:
    scored = answers(score("25s", "3s", "40s"))
    # One utterance every three seconds, the breath over the border among them.
    assert {uri: len(one.utterances) for uri, one in scored.items()} == {"25s": 9, "3s": 1, "40s": 14}
    for one in scored.values():
        assert one.audio is not None
        assert one.speech_s + one.non_speech_s == pytest.approx(one.audio.duration_s)
        assert all(len(said.emotions) == 1 for said in one.utterances)
        assert (one.restart, one.scorer, one.measures is None) == ("decode", LoudnessScorer.scorer, False)


def test_answers_do_not_depend_on_batches_or_company() -> None:
    uris = ("25s", "3s", "40s", "7s", "12s!", "11s")
    together = answers(score(*uris))
    assert answers(score(*uris, batch_s=20, slots=3)) == together
    for uri in uris:
        assert answers(score(uri)) == {uri: together[uri]}


def test_equal_recordings_in_one_run_keep_their_own_windows() -> None:
    first, second = score("25s", "25s")
    assert replace(first, stage_seconds={}) == replace(second, stage_seconds={})


def test_an_utterance_over_a_window_border_gets_the_emotion_of_its_whole_sound() -> None:
    (scored,) = score("25s")
    (over,) = [one for one in scored.utterances if one.start_s < 10 < one.end_s]
    begin, end = (round(over.start_s * 1000) - 100) * 16, (round(over.end_s * 1000) + 100) * 16
    sound = channel(25.0)[begin:end].astype(np.float32) / 2**15
    assert over.emotions == tuple(LoudnessScorer().predict([Clip(sound, over.text)]))


def adapting_engine() -> Engine:
    return Engine(EnergyDiarizer(), OneWordRecognizer(), RelativeLoudnessScorer())


def test_an_utterance_is_measured_against_its_speaker_over_the_whole_recording() -> None:
    (plain,), (adapted,) = score("25s"), score("25s", engine=adapting_engine())
    assert len({one.speaker for one in adapted.utterances}) == 1
    levels = [-one.emotions[0].valence for one in plain.utterances]  # type: ignore[operator]
    mean = sum(levels) / len(levels)
    found = [one.emotions[0].valence for one in adapted.utterances]
    # Those at the borders of windows, and those of other windows, among them.
    assert any(one.start_s < 10 < one.end_s for one in adapted.utterances)
    assert found == pytest.approx([level - mean for level in levels], abs=1e-5)


def test_what_adapts_to_speakers_does_not_depend_on_batches_or_on_other_recordings() -> None:
    alone = answers(score("25s", engine=adapting_engine()))
    together = answers(score("31s", "25s", "12s", engine=adapting_engine(), slots=3, batch_s=10.0))
    assert together["25s"].utterances == alone["25s"].utterances


@pytest.mark.parametrize("engine", [plain_engine(), plain_engine(reads_dialogue=True), adapting_engine()])
def test_emotion_alone_gives_the_answers_of_a_whole_run(engine: Engine) -> None:
    (whole,) = score("25s", engine=engine)
    unscored = tuple(replace(one, emotions=()) for one in whole.utterances)
    task = Task(whole.recording, "emotion", replace(whole, utterances=unscored, measures=None, scorer=None))
    with Pipeline(profile(), decoder=PlainDecoder(), engine=engine) as pipeline:
        (again,) = pipeline.score([task])
    assert replace(again, stage_seconds={}) == replace(whole, restart="emotion", stage_seconds={})
    assert set(again.stage_seconds) == {"decode", "emotion", "link"}


def test_link_alone_asks_no_decoder_and_no_model() -> None:
    (whole,) = score("25s")
    decoder, engine = PlainDecoder(), Watched()
    named = profile().model_copy(update={"link": LinkOptions(channel_roles=("agent",))})
    with Pipeline(named, decoder=decoder, engine=engine) as pipeline:
        (again,) = pipeline.score([Task(whole.recording, "link", replace(whole, measures=None))])
    assert (decoder.asked, engine.heard_s) == (0, [])
    assert replace(again, stage_seconds={}) == replace(whole, restart="link", stage_seconds={})
    assert set(again.stage_seconds) == {"link"}


def test_emotion_alone_keeps_what_was_flagged_and_decodes_nothing_where_nobody_spoke() -> None:
    (whole,) = score("25s")
    assert whole.audio is not None
    flagged = replace(whole, audio=replace(whole.audio, flags=(Flag.CLIPPED,)))
    silent = replace(flagged, recording=Recording(uri="30s"), utterances=())
    decoder = PlainDecoder()
    with Pipeline(profile(), decoder=decoder, engine=plain_engine()) as pipeline:
        scored = list(pipeline.score([Task(one.recording, "emotion", one) for one in (flagged, silent)]))
    assert [one.audio.flags for one in scored if one.audio] == [(Flag.CLIPPED,)] * 2
    assert {one.recording.uri: len(one.utterances) for one in scored} == {"25s": 9, "30s": 0}
    assert {one.scorer for one in scored} == {LoudnessScorer.scorer}
    assert decoder.asked == 1


@pytest.mark.parametrize("restart", ["decode", "emotion"])
def test_a_bad_recording_is_a_row_and_its_neighbours_are_scored(restart: Restart) -> None:
    known = answers(score("5s"))["5s"]
    some = [*tasks("5s"), Task(Recording(uri="12s!"), restart, known), *tasks("6s")]
    with Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine()) as pipeline:
        scored = {one.recording.uri: one for one in pipeline.score(some)}
    assert [scored[uri].status for uri in ("5s", "12s!", "6s")] == ["scored", "failed", "scored"]
    failed = scored["12s!"]
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.stage) == (ErrorCode.DECODE_ERROR, "decode")
    assert (failed.failure.message, failed.utterances, failed.restart) == ("it is broken", (), restart)
    assert "decode" in failed.stage_seconds


def test_a_recording_comes_out_while_the_input_stays_open() -> None:
    given: Queue[Task | None] = Queue()
    given.put(tasks("7s")[0])
    with Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine()) as pipeline:
        scored = pipeline.score(iter(given.get, None))
        assert next(scored).recording.uri == "7s"
        given.put(tasks("3s")[0])
        assert next(scored).recording.uri == "3s"
        given.put(None)
        assert list(scored) == []


def test_calls_at_once_give_the_answers_of_one_after_the_other() -> None:
    uris = ("25s", "3s", "40s", "7s", "12s!", "11s")
    alone = answers(score(*uris))
    with (
        Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine(), slots=2) as pipeline,
        ThreadPoolExecutor(4) as pool,
    ):
        for found in pool.map(lambda _: answers(pipeline.score(tasks(*uris))), range(4)):
            assert found == alone


def test_batches_are_no_longer_than_the_profile_says_but_for_one_window() -> None:
    engine = Watched()
    score(*["10s"] * 60, batch_s=40, engine=engine)
    assert max(engine.heard_s) <= 40
    assert sum(engine.heard_s) == 600
    lone = Watched()
    score("30s", batch_s=4, engine=lone)
    assert lone.heard_s == [10, 10, 10]


def test_audio_in_memory_is_bounded_however_slow_the_models_are() -> None:
    decoder, batch_s, ahead_s = PlainDecoder(), 20.0, []
    all_s = 400.0

    class Slow(Watched):
        def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
            heard = super().hear(windows, clock)
            # The decoder runs until there is no room: then it waits for us.
            limit_s = min(2 * batch_s, all_s - sum(self.heard_s))
            threading.Event().wait(0.05)
            ahead_s.append(decoder.decoded_s - sum(self.heard_s))
            assert limit_s >= 0
            return heard

    with Pipeline(profile(batch_s=batch_s), decoder=decoder, engine=Slow()) as pipeline:
        assert len(list(pipeline.score(tasks(*["40s"] * 10)))) == 10
    # The room, and the window in the decoder's hand.
    assert max(ahead_s) <= 2 * batch_s + WINDOW_S


def test_a_bug_in_a_stage_is_raised_and_the_decoding_thread_ends() -> None:
    class Broken(Watched):
        def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
            raise ZeroDivisionError

    decoder = PlainDecoder()
    with Pipeline(profile(), decoder=decoder, engine=Broken()) as pipeline:
        with pytest.raises(ZeroDivisionError):
            list(pipeline.score(tasks("25s")))
        assert decoder.open == 0
        assert not [thread for thread in threading.enumerate() if thread.name == "decode-ahead"]


def test_a_bug_in_the_emotion_model_is_raised() -> None:
    class Broken(LoudnessScorer):
        def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        score("25s", engine=Engine(EnergyDiarizer(), OneWordRecognizer(), Broken()))


def test_a_bug_in_the_decoder_or_in_the_input_is_raised() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        score("5s", "no number")

    def broken_input() -> Iterator[Task]:
        yield from tasks("5s")
        raise ZeroDivisionError

    with (
        Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine()) as pipeline,
        pytest.raises(ZeroDivisionError),
    ):
        list(pipeline.score(broken_input()))


def test_closing_the_iterator_drops_its_work_and_the_pipeline_can_be_used_again() -> None:
    decoder, engine = PlainDecoder(), Watched()
    with Pipeline(profile(batch_s=20), decoder=decoder, engine=engine) as pipeline:
        scored = pipeline.score(tasks(*["10s"] * 1_000))
        next(scored)
        scored.close()  # type: ignore[attr-defined]
        assert decoder.open == 0
        assert decoder.decoded_s < 500
        assert len(list(pipeline.score(tasks("25s")))) == 1
    assert sum(engine.heard_s) < 500


def test_wall_seconds_are_shared_out_over_recordings() -> None:
    class Paced(Watched):
        """Says that hearing takes a hundredth of a second of audio."""

        def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
            heard = super().hear(windows)
            assert clock is not None
            clock.wall_s["transcribe"] += sum(window.end_s - window.start_s for window in windows) / 100
            clock.gpu_s["transcribe"] += sum(window.end_s - window.start_s for window in windows) / 1_000
            return heard

    scored = {one.recording.uri: one for one in score("10s", "30s", engine=Paced())}
    assert set(scored["10s"].stage_seconds) == {"decode", "transcribe", "join", "emotion", "link"}
    assert scored["30s"].stage_seconds["transcribe"] == pytest.approx(0.3)
    assert scored["10s"].gpu_seconds == {"transcribe": pytest.approx(0.01)}
    assert scored["30s"].gpu_seconds == {"transcribe": pytest.approx(0.03)}


def test_without_a_gpu_no_gpu_seconds_are_told() -> None:
    assert [one.gpu_seconds for one in score("10s")] == [{}]


def test_nothing_to_score_gives_nothing() -> None:
    assert score() == []


def test_importing_the_pipeline_loads_no_torch() -> None:
    code = "import sys, mmer_ray.pipelines.corpus; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Gated(Watched):
    """Hears nothing until its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = threading.Event()

    def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
        self.begun.set()
        assert self.gate.wait(SOON_S)
        return super().hear(windows, clock)


def test_stopped_work_is_dropped_while_the_models_are_busy_and_others_are_answered() -> None:
    decoder, engine, stop = PlainDecoder(), Gated(), Stop()
    with (
        Pipeline(profile(batch_s=10), decoder=decoder, engine=engine, slots=1) as pipeline,
        ThreadPoolExecutor(2) as pool,
    ):
        stopped = pool.submit(lambda: list(pipeline.score(tasks("40s"), stop=stop)))
        assert engine.begun.wait(SOON_S)
        stop.set()
        # The slot is still at work: nothing waits for it.
        with pytest.raises(WorkStoppedError):
            stopped.result(SOON_S)
        assert decoder.open == 0
        answered = pool.submit(lambda: list(pipeline.score(tasks("5s"))))
        engine.gate.set()
        assert [one.status for one in answered.result(SOON_S)] == ["scored"]
    # The window in the slot, and the other call's.
    assert engine.heard_s == [10, 5]


def test_work_that_was_stopped_before_it_began_is_not_done() -> None:
    engine, stop = Watched(), Stop()
    stop.set()
    with (
        Pipeline(profile(), decoder=PlainDecoder(), engine=engine) as pipeline,
        pytest.raises(WorkStoppedError),
    ):
        list(pipeline.score(tasks("25s"), stop=stop))
    assert engine.heard_s == []


def test_work_in_the_background_takes_one_window_at_a_time_and_lets_others_pass() -> None:
    decoder, engine = PlainDecoder(), Gated()
    with (
        Pipeline(profile(batch_s=10), decoder=decoder, engine=engine, slots=1) as pipeline,
        ThreadPoolExecutor(2) as pool,
    ):
        background = pool.submit(lambda: answers(pipeline.score(tasks("40s"), background=True)))
        assert engine.begun.wait(SOON_S)
        clips = pool.submit(lambda: list(pipeline.score(tasks("5s", "6s"))))
        while decoder.decoded_s < 10 + 5 + 6:
            threading.Event().wait(0.01)
        engine.gate.set()
        assert len(clips.result(SOON_S)) == 2
        assert background.result(SOON_S) == answers(score("40s"))
    assert engine.heard_s[0] == 10
    assert sorted(engine.heard_s[1:3]) == [5, 6]


def test_what_a_task_expects_reaches_the_recognizer_with_each_chunk_of_it_and_of_no_other() -> None:
    class Told(OneWordRecognizer):
        def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
            return [replace(self._read(chunk), language=(*chunk.expected.languages, "xx")[0]) for chunk in chunks]

    engine = Engine(EnergyDiarizer(), Told(), LoudnessScorer())
    german = Task(Recording(uri="25s"), expected=Expected(languages=("de",)))
    with Pipeline(profile(), decoder=PlainDecoder(), engine=engine) as pipeline:
        scored = answers(pipeline.score([german, *tasks("12s")]))
    assert {uri: {said.language for said in one.utterances} for uri, one in scored.items()} == {
        "25s": {"de"},
        "12s": {"xx"},
    }


def test_what_the_recognizer_cannot_heed_is_refused_before_any_work() -> None:
    with Pipeline(profile(), decoder=PlainDecoder(), engine=plain_engine()) as pipeline:
        pipeline.check_expected(Expected(languages=("de",), keywords=("Ann",)))
        with pytest.raises(UsageError, match=r"^prompt: "):
            pipeline.check_expected(Expected(prompt="so"))
