"""One call of `Pipeline.score`: a loop over what the decoder, the hearing and the scoring of emotions report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError, ErrorCode, Flag, MmerError
from mmer_ray.pipelines.ahead import DecodeAhead, Decoded, Decodes, InputEnded, Room
from mmer_ray.pipelines.assembler import ClipKey, KnownUtterances, Question, RecordingAssembler, key_of, with_emotions
from mmer_ray.pipelines.batcher import Batcher
from mmer_ray.pipelines.clock import Clock
from mmer_ray.pipelines.engine import Engine
from mmer_ray.profiles import Profile
from mmer_ray.records import AudioFacts, Failure, Given, Recording, ScoredRecording, Task, Utterance, Window
from mmer_ray.stages.emotion import Answer
from mmer_ray.stages.given import cut_given
from mmer_ray.stages.link import link
from mmer_ray.stages.policy import EmotionPolicy, withheld
from mmer_ray.transcripts.mark import input_digest

NO_CHANNELS = (
    "a given transcript says nothing of channels and this recording keeps its two parties apart by them: "
    "score it without its transcript, or mix it to one channel"
)
OnHeard = Callable[[Recording, float], None]
Heard = tuple[Window, Clock]
"""A window with its share of the stages' seconds."""
Felt = tuple[list[Answer], Clock]
"""The answers to a question with their share of the stage's seconds."""


STOPPED = "this work was stopped: nobody waits for its answer"


class WorkStoppedError(MmerError):
    """A call was told to stop; there is no answer."""


@dataclass(frozen=True)
class Stopped:
    """Nobody waits for the answers any more."""


@dataclass(frozen=True)
class Shared:
    """What all calls of a pipeline use together."""

    profile: Profile
    engine: Engine
    decoder: Decodes
    hearing: Batcher[Window, Heard]
    feeling: Batcher[Question, Felt]


@dataclass(frozen=True)
class WindowHeard:
    """A future of a window has ended: done, failed or cancelled."""

    position: int
    cost_s: float
    future: Future[Heard]


@dataclass(frozen=True)
class ClipsFelt:
    """A future of a question has ended: done, failed or cancelled."""

    position: int
    question: Question
    future: Future[Felt]


Event = Decoded | InputEnded | WindowHeard | ClipsFelt | Stopped


@dataclass
class InWork:
    """One task between its first window and its last emotion."""

    task: Task
    assembler: RecordingAssembler | KnownUtterances
    facts: AudioFacts | None = None
    joined: ScoredRecording | None = None
    """Everything but emotions and measures: known once all windows are heard."""
    answers: dict[ClipKey, Answer] = field(default_factory=dict)
    """Of a model that adapts to speakers a few kilobytes for each utterance, until the recording ends."""
    windows: set[Future[Heard]] = field(default_factory=set)
    questions: set[Future[Felt]] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    refusal: AudioError | None = None
    """Why the recording cannot be scored, found before its end."""

    def cancel(self) -> None:
        """Drop what is not begun yet."""
        for window in tuple(self.windows):
            window.cancel()
        for question in tuple(self.questions):
            question.cancel()


class Scoring:
    """The state of one call; `results` is its generator."""

    def __init__(
        self,
        shared: Shared,
        tasks: Iterable[Task],
        on_heard: OnHeard | None = None,
        *,
        stop: Stop | None = None,
        ahead_s: float,
        patience_s: float = 0.0,
    ) -> None:
        """`ahead_s`: seconds of audio that may be in memory, 0 for one window; `patience_s` as the batchers say."""
        self._shared, self._on_window, self._stop = shared, on_heard, stop or Stop()
        self._policy = EmotionPolicy.of(shared.profile)
        self._patience_s = patience_s
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._in_work: dict[int, InWork] = {}
        self._input_ended = False
        self._room = Room(ahead_s)
        self._ahead = DecodeAhead(shared.decoder, tasks, self._room, self._events.put)

    def results(self) -> Iterator[ScoredRecording]:
        """Yield each recording as soon as it is finished. Raises what a stage, the decoder or the input raised, and
        `WorkStoppedError`."""
        with self._ahead, self._stop.calling(lambda: self._events.put(Stopped())):
            try:
                while not self._input_ended or self._in_work:
                    yield from self._handle(self._events.get())
            finally:
                for one in self._in_work.values():
                    one.cancel()

    def _handle(self, event: Event) -> Iterator[ScoredRecording]:
        if isinstance(event, Stopped) or self._stop.is_set:
            raise WorkStoppedError(STOPPED)
        if isinstance(event, InputEnded):
            self._input_ended = True
            if event.bug is not None:
                raise event.bug
        elif isinstance(event, Decoded):
            yield from self._on_decoded(event)
        elif isinstance(event, WindowHeard):
            yield from self._on_heard(event)
        else:
            yield from self._on_felt(event)

    def _on_decoded(self, decoded: Decoded) -> Iterator[ScoredRecording]:
        position, item = decoded.position, decoded.item
        if position not in self._in_work:
            self._in_work[position] = InWork(decoded.task, self._assembler(decoded.task))
        one = self._in_work[position]
        if item is not None:
            one.clock.wall_s["decode"] += decoded.wall_s
        if isinstance(item, Window) and one.task.given is not None and (item.one_speaker or item.channel > 0):
            one.refusal = AudioError(ErrorCode.BAD_CHANNELS, NO_CHANNELS)
        if one.refusal is not None and isinstance(item, Window):
            self._room.exchange(decoded.cost_s, 0.0)
            return
        if isinstance(item, AudioFacts):
            # The decoder has come to the end of the file: one answer, whatever was refused before.
            item = one.refusal or item
        if isinstance(item, Window) and isinstance(one.assembler, RecordingAssembler):
            window = replace(item, expected=one.task.expected)
            window = window if one.task.given is None else cut_given(window, one.task.given)
            self._hear(position, one, window, decoded.cost_s)
            return
        if isinstance(item, Window):
            assert isinstance(one.assembler, KnownUtterances)
            self._ask(position, one, one.assembler.add(item))
        elif isinstance(item, AudioError):
            one.cancel()
            del self._in_work[position]
            yield self._failed(one, item)
        else:
            one.facts = None if item is None else named_by_input(one.task.recording, item)
            if item is None:
                one.joined = decoded.task.known
        self._room.exchange(decoded.cost_s, 0.0)
        yield from self._finished(position)

    def _hear(self, position: int, one: InWork, window: Window, cost_s: float) -> None:
        future = self._shared.hearing.submit(window, self._patience_s)
        one.windows.add(future)
        future.add_done_callback(lambda done: self._events.put(WindowHeard(position, cost_s, done)))

    def _ask(self, position: int, one: InWork, questions: Sequence[Question]) -> None:
        for question in questions:
            self._ask_one(position, one, question)

    def _ask_one(self, position: int, one: InWork, question: Question) -> None:
        self._room.exchange(0.0, question.audio_s)
        future = self._shared.feeling.submit(question, self._patience_s)
        one.questions.add(future)
        future.add_done_callback(lambda done: self._events.put(ClipsFelt(position, question, done)))

    def _on_heard(self, event: WindowHeard) -> Iterator[ScoredRecording]:
        one = self._in_work.get(event.position)
        if one is not None:
            window, clock = event.future.result()
            one.windows.discard(event.future)
            one.clock.add(clock)
            assert isinstance(one.assembler, RecordingAssembler)
            self._ask(event.position, one, one.assembler.add(window))
            if self._on_window is not None:
                self._on_window(one.task.recording, window.end_s)
        self._room.exchange(event.cost_s, 0.0)
        yield from self._finished(event.position)

    def _on_felt(self, event: ClipsFelt) -> Iterator[ScoredRecording]:
        one = self._in_work.get(event.position)
        if one is not None:
            answers, clock = event.future.result()
            one.questions.discard(event.future)
            one.clock.add(clock)
            one.answers.update(zip(event.question.keys, answers, strict=True))
        self._room.exchange(event.question.audio_s, 0.0)
        yield from self._finished(event.position)

    def _finished(self, position: int) -> Iterator[ScoredRecording]:
        """Join a recording whose windows are all heard; give it out once all its emotions are known."""
        one = self._in_work.get(position)
        if one is None or one.windows:
            return
        if one.joined is None and one.facts is not None:
            self._join(position, one, one.facts)
        if one.joined is not None and not one.questions:
            del self._in_work[position]
            yield self._scored(one, one.joined)

    def _join(self, position: int, one: InWork, facts: AudioFacts) -> None:
        if isinstance(one.assembler, KnownUtterances):
            known = one.task.known
            assert known is not None
            # What was flagged when it was heard stays.
            audio = facts if known.audio is None else replace(known.audio, content_digest=facts.content_digest)
            one.joined, questions = replace(known, audio=audio), one.assembler.close()
        else:
            with one.clock.stage("join"):
                one.joined, questions = one.assembler.close(facts)
            one.joined = flagged(one.joined, one.task.given)
        self._ask(position, one, questions)

    def _scored(self, one: InWork, joined: ScoredRecording) -> ScoredRecording:
        utterances = joined.utterances
        if one.task.restart != "link":
            answers = [self._answer(one, utterance) for utterance in utterances]
            speakers = [utterance.speaker for utterance in utterances]
            utterances = with_emotions(utterances, self._shared.engine.conclude(answers, speakers, one.clock))
        with one.clock.stage("link"):
            scored = link(replace(joined, utterances=utterances), self._shared.profile.link)
        return replace(
            scored,
            recording=one.task.recording,
            restart=one.task.restart,
            scorer=self._shared.engine.scorer,
            stage_seconds=dict(one.clock.wall_s),
            gpu_seconds=dict(one.clock.gpu_s),
        )

    def _answer(self, one: InWork, utterance: Utterance) -> Answer:
        is_asked = self._policy.may_score(utterance)
        return one.answers[key_of(utterance)] if is_asked else withheld(self._shared.engine.scorer)

    def _failed(self, one: InWork, error: AudioError) -> ScoredRecording:
        failure = Failure(error.code, "decode", error.message)
        return ScoredRecording(
            one.task.recording,
            "failed",
            restart=one.task.restart,
            failure=failure,
            stage_seconds=dict(one.clock.wall_s),
        )

    def _assembler(self, task: Task) -> RecordingAssembler | KnownUtterances:
        reads_dialogue = self._shared.engine.reads_dialogue
        if task.restart == "decode":
            threshold = self._shared.profile.join.distance_threshold or self._shared.engine.join_threshold
            return RecordingAssembler(task.recording, threshold, reads_dialogue, self._policy.may_score)
        assert task.known is not None, "work that does not begin at decode needs what is known"
        return KnownUtterances(task.known.utterances, reads_dialogue, self._policy.may_score)


def named_by_input(recording: Recording, facts: AudioFacts) -> AudioFacts:
    """The facts under the digest of all that is scored: the bytes, and the given files."""
    return replace(facts, content_digest=input_digest(facts.content_digest, recording.modified))


def flagged(joined: ScoredRecording, given: Given | None) -> ScoredRecording:
    """The same recording; flagged where given words lie behind its end or where nobody speaks, and so were left out."""
    if given is None or given.words is None or joined.audio is None:
        return joined
    if sum(len(one.words) for one in joined.utterances) == len(given.words):
        return joined
    return replace(joined, audio=replace(joined.audio, flags=(*joined.audio.flags, Flag.TRANSCRIPT_MISMATCH)))
