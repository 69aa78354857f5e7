"""One clip at a time through the engine of the batch job: what a replica of the endpoint holds."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.needed import SoundRange
from mmer_ray.audio.stop import Stop
from mmer_ray.pipelines.cores import use_one_core_per_batch
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import DecodeOptions, Profile
from mmer_ray.records import AudioFacts, Recording, ScoredRecording, Task, Window
from mmer_ray.serving.event_watch import EventWatch
from mmer_ray.serving.interface import Asked, Served
from mmer_ray.stages.keys import keys_of
from mmer_ray.stages.preflight import preflight_models


class OnlineScorer:
    """Models in memory that answer one clip per call, as the batch job would; a context manager.

    Several threads may call `score` at once: their windows and clips share batches, and no answer depends on the
    company. It owns its process, as `Pipeline` does.
    """

    def __init__(self, profile: Profile) -> None:
        """Load the models. Raises `PreflightError` where one is missing."""
        models = preflight_models(profile)
        self._served = Served(
            profile=profile.name,
            keys=keys_of(profile),
            models={key: model.digest for key, model in models.items()},
            names={key: _name_of(profile, key) for key in models},
        )
        slots = use_one_core_per_batch()
        slots = profile.serve.threads_per_replica or slots
        with ExitStack() as exit_stack:
            self._folder = Path(exit_stack.enter_context(tempfile.TemporaryDirectory(prefix="mmer-clips-")))
            # A decoder holds its child until a recording ends: jobs of hours have their own.
            self._for_clips = exit_stack.enter_context(Decoder(clip_limits(profile), slots))
            self._for_jobs = exit_stack.enter_context(Decoder(profile.decode, profile.serve.max_running_jobs))
            self._pipeline = exit_stack.enter_context(
                Pipeline(_waiting_less(profile), decoder=self._for_clips, slots=slots)
            )
            self._watch = exit_stack.enter_context(EventWatch())
            self._exit = exit_stack.pop_all()

    def __enter__(self) -> OnlineScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Work on what was asked, then stop the threads and the decoders' children."""
        self._exit.close()

    def served(self) -> Served:
        """What answers."""
        return self._served

    def score(self, asked: Asked, cancelled: threading.Event | None = None) -> ScoredRecording:
        """Score one clip: as the batch job would, a bad one as failed. Its `uri` is empty.

        Once `cancelled` is set, from another thread, the work is dropped and `WorkStoppedError` raised. Raises
        `UsageError`, its message beginning with the field that is meant, for what the models cannot heed.
        """
        self._pipeline.check_expected(asked.expected)
        stop = Stop()
        with self._watch.watching(cancelled, stop), self._file_of(asked.sound) as path:
            recording = Recording(uri=str(path), size_bytes=path.stat().st_size)
            scored = self._scored(Task(recording, expected=asked.expected), stop, asked.is_job)
        return replace(scored, recording=replace(scored.recording, uri=""))

    def _scored(self, task: Task, stop: Stop, is_job: bool) -> ScoredRecording:
        decoder = _Stoppable(self._for_jobs if is_job else self._for_clips, stop)
        (scored,) = self._pipeline.score([task], decoder=decoder, stop=stop, background=is_job)
        return scored

    @contextmanager
    def _file_of(self, sound: bytes | Path) -> Iterator[Path]:
        """A file with these bytes, which nobody else can read, and which is gone afterwards."""
        if isinstance(sound, Path):
            yield sound
            return
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            file.write(sound)
            file.flush()
            yield Path(file.name)


class _Stoppable:
    """A decoder whose work for one call ends with the call."""

    def __init__(self, decoder: Decoder, stop: Stop) -> None:
        self._decoder, self._stop = decoder, stop

    def decode(
        self, recording: Recording, needed: Sequence[SoundRange] | None = None
    ) -> Generator[Window | AudioFacts, None, None]:
        return self._decoder.decode(recording, needed, self._stop)


def clip_limits(profile: Profile) -> DecodeOptions:
    """What is decoded where the answer is waited for: no more than `serve` says."""
    return profile.decode.model_copy(
        update={
            "max_duration_s": min(profile.decode.max_duration_s, profile.serve.max_audio_s),
            "max_decoded_bytes": min(profile.decode.max_decoded_bytes, profile.serve.max_decoded_bytes),
        }
    )


def _waiting_less(profile: Profile) -> Profile:
    run = profile.run.model_copy(update={"max_wait_s": profile.serve.max_wait_s})
    return profile.model_copy(update={"run": run})


def _name_of(profile: Profile, key: str) -> str:
    """What a profile says at a key like `emotion.model` or `transcribe.align_models.de`."""
    table, field, *inside = key.split(".")
    value = getattr(getattr(profile, table), field)
    return str(value[inside[0]] if inside else value)
