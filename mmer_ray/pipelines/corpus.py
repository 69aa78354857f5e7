"""The job: decode, diarize, transcribe, join, emotion, link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from mmer_ray.audio.stop import Stop
from mmer_ray.models.batches import LIKE_LENGTH
from mmer_ray.pipelines.ahead import Decodes
from mmer_ray.pipelines.assembler import Question
from mmer_ray.pipelines.batcher import Batcher
from mmer_ray.pipelines.clock import Clock
from mmer_ray.pipelines.cores import use_one_core_per_batch
from mmer_ray.pipelines.engine import Engine
from mmer_ray.pipelines.memory import keep_freed_memory, return_excess
from mmer_ray.pipelines.scoring import Felt, Heard, OnHeard, Scoring, Shared
from mmer_ray.pipelines.voices import voices_of
from mmer_ray.profiles import Profile
from mmer_ray.records import Clip, Embedding, Expected, Samples, ScoredRecording, Task, Window

SLOT_S = 60.0
"""Where several cores each hear a batch of their own, batches are this small: all cores end at about the same time."""
BACKGROUND_S = 60.0
"""Work in the background lets work go first that comes so much later: it is slow beside a full load, and ends."""


class Pipeline:
    """All stages in one process. Loaded once, it scores any number of recordings; a context manager.

    It owns its process: threads and memory are set up for scoring. Several threads may call `score` at once; they share
    models, batches and decoder. Decoder and engine can be given in place of the profile's; who gives an engine owns
    the process and says how many batches are worked on side by side.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        decoder: Decodes | None = None,
        engine: Engine | None = None,
        slots: int | None = None,
        hears: bool = True,
    ) -> None:
        """Load the models; without `hears` the emotion model alone, for tasks that do not begin at `decode`.

        Raises `PreflightError` where a model is missing.
        """
        keep_freed_memory()
        self._exit = ExitStack()
        try:
            # First, so that its child starts while the models load.
            self._decoder = decoder if decoder is not None else self._open_decoder(profile)
            if engine is None:
                slots = slots or use_one_core_per_batch()
            self._engine = engine or Engine.load(profile, hears=hears)
            self._shared = self._share(profile, slots or 1)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Work on what was submitted, then stop the threads and the decoder's child."""
        self._exit.close()

    @property
    def scorer(self) -> str:
        """Name and digest of the emotion model."""
        return self._engine.scorer

    @property
    def join_threshold(self) -> float:
        """Distance above which the voices of two sounds are of two people: that between windows."""
        return self._shared.profile.join.distance_threshold or self._engine.join_threshold

    def voices(
        self, sounds: Sequence[Samples], *, stop: Stop | None = None, background: bool = False
    ) -> list[Embedding | None]:
        """The voice that speaks longest in each sound, int16, shape (num_samples,): L2-normalised, float32, shape
        (embedding_dim,); None where nobody speaks. `stop` and `background` as for `score`."""
        return voices_of(self._shared.hearing, sounds, stop or Stop(), BACKGROUND_S if background else 0.0)

    def check_expected(self, expected: Expected) -> None:
        """As `Engine.check_expected`: to be asked before a task that expects something."""
        self._engine.check_expected(expected)

    def score(
        self,
        tasks: Iterable[Task],
        on_heard: OnHeard | None = None,
        *,
        decoder: Decodes | None = None,
        stop: Stop | None = None,
        background: bool = False,
    ) -> Iterator[ScoredRecording]:
        """Score recordings; each comes out as soon as it is finished, failed ones among them, also while the input
        stays open.

        Windows of several recordings are heard together, up to `run.batch_s` seconds of audio, and their clips are
        scored together; an answer does not depend on its company. At most twice `run.batch_s` seconds and one more
        window are in memory, besides what waits at window borders (`assembler.py`). A bug in a stage is raised and
        ends the call. Closing the iterator drops its work. `tasks` is iterated in the decoding thread.

        `on_heard(recording, end_s)` is told of each window that was heard, up to what second it goes: a recording of
        hours comes out at its end alone. `decoder` takes the place of the pipeline's for this call: one with limits of
        its own.

        Setting `stop`, from any thread, drops the work: the iterator raises `WorkStoppedError`. What is in the middle
        of a batch is worked on to its end, and the window that the decoder is at too, unless it heeds `stop` itself.

        In the background one window is worked on at a time, and the work of other calls goes first that comes up to
        `BACKGROUND_S` later.
        """
        shared = self._shared if decoder is None else replace(self._shared, decoder=decoder)
        # As much is decoded ahead as is worked on.
        ahead_s, patience_s = (0.0, BACKGROUND_S) if background else (2 * shared.profile.run.batch_s, 0.0)
        return Scoring(shared, tasks, on_heard, stop=stop, ahead_s=ahead_s, patience_s=patience_s).results()

    def _share(self, profile: Profile, slots: int) -> Shared:
        run = profile.run
        hearing: Batcher[Window, Heard] = Batcher(
            self._hear,
            lambda window: window.end_s - window.start_s,
            run.batch_s if slots == 1 else min(run.batch_s, SLOT_S),
            run.max_wait_s,
            slots,
            name="hear",
        )
        self._exit.callback(hearing.close)
        feeling: Batcher[Question, Felt] = Batcher(
            self._feel,
            lambda question: question.padded_s,
            profile.emotion.batch_s,
            run.max_wait_s,
            slots,
            min_share=LIKE_LENGTH,
            name="feel",
        )
        self._exit.callback(feeling.close)
        return Shared(profile, self._engine, self._decoder, hearing, feeling)

    def _hear(self, windows: list[Window]) -> list[Heard]:
        """Hear a batch; the stages' seconds are shared out by seconds of audio."""
        clock = Clock()
        heard = self._engine.hear(windows, clock)
        return_excess()
        return list(zip(heard, _shares(clock, [window.end_s - window.start_s for window in windows]), strict=True))

    def _feel(self, questions: list[Question]) -> list[Felt]:
        """Score the clips of a batch; the stage's seconds are shared out by seconds of audio."""
        clock = Clock()
        clips: list[Clip] = [
            clip._replace(dialogue=number) for number, question in enumerate(questions) for clip in question.clips
        ]
        emotions = iter(self._engine.feel(clips, clock))
        answers = [[next(emotions) for _ in question.clips] for question in questions]
        return list(zip(answers, _shares(clock, [question.audio_s for question in questions]), strict=True))

    def _open_decoder(self, profile: Profile) -> Decodes:
        from mmer_ray.audio.decode import Decoder

        decoder: Decodes = self._exit.enter_context(Decoder(profile.decode))
        return decoder


def _shares(clock: Clock, audio_s: Sequence[float]) -> list[Clock]:
    shares = [Clock() for _ in audio_s]
    for share, seconds in zip(shares, audio_s, strict=True):
        share.add(clock, seconds / max(sum(audio_s), 1e-9))
    return shares
