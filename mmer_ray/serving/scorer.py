"""One clip at a time through the engine of the batch job: what a replica of the endpoint holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.needed import SoundRange, needed_ranges
from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError, ErrorCode, PreflightError, UsageError
from mmer_ray.pipelines.cores import use_one_core_per_batch
from mmer_ray.pipelines.corpus import SLOT_S, Pipeline
from mmer_ray.pipelines.scoring import STOPPED, WorkStoppedError
from mmer_ray.profiles import DecodeOptions, Profile
from mmer_ray.records import AudioFacts, Embedding, Failure, Recording, Samples, ScoredRecording, Task, Window
from mmer_ray.serving.clip_folder import clip_folder
from mmer_ray.serving.event_watch import EventWatch
from mmer_ray.serving.interface import Asked, Served
from mmer_ray.serving.known_speakers import (
    MAX_KNOWN_S,
    SLACK_S,
    SOUNDS,
    SpeakerSounds,
    check_names,
    known_sound,
    names_of,
    own_stretches,
    with_names,
)
from mmer_ray.serving.recent_voices import RecentVoices
from mmer_ray.stages.keys import keys_of
from mmer_ray.stages.preflight import preflight_models

NO_BYTES = Failure(ErrorCode.EMPTY_FILE, "decode", "the file has no bytes")

logger = logging.getLogger(__name__)


class OnlineScorer:
    """Models in memory that answer one clip per call, as the batch job would; a context manager.

    Several threads may call `score` at once: their windows and clips share batches, and no answer depends on the
    company. It owns its process, as `Pipeline` does.
    """

    def __init__(self, profile: Profile) -> None:
        """Load the models. Raises `PreflightError` where one is missing, or no decoder starts."""
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
            self._folder = exit_stack.enter_context(clip_folder())
            # A decoder holds its child until a recording ends. So jobs of hours have children of their own, live calls
            # too, which wait for no job, and clips more than are worked on: some files keep one busy for half a minute.
            self._for_clips = exit_stack.enter_context(Decoder(clip_limits(profile), 2 * slots))
            self._for_jobs = exit_stack.enter_context(Decoder(profile.decode, profile.serve.max_running_jobs))
            self._for_calls = exit_stack.enter_context(Decoder(profile.decode, slots))
            self._for_known = exit_stack.enter_context(Decoder(known_limits(profile)))
            self._pipeline = exit_stack.enter_context(
                Pipeline(answering_soon(profile), decoder=self._for_clips, slots=slots)
            )
            start_child(self._for_clips)
            self._recent = RecentVoices()
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
        check_names(asked.known_speakers)
        if asked.sound == b"":
            return ScoredRecording(Recording(uri=""), "failed", failure=NO_BYTES)
        stop = Stop()
        with self._watch.watching(cancelled, stop), self._file_of(asked.sound) as path:
            known = self._known_voices(asked, stop)
            task = Task(Recording(uri=str(path.absolute())), expected=asked.expected)
            decoder = _Stoppable(self._decoder_for(asked), stop)
            background = _is_background(asked)
            (scored,) = self._pipeline.score([task], decoder=decoder, stop=stop, background=background)
            if known and scored.turns:
                scored = self._named(scored, known, decoder, background=background)
        return replace(scored, recording=replace(scored.recording, uri=""))

    def _decoder_for(self, asked: Asked) -> Decoder:
        if not asked.is_job:
            return self._for_clips
        return self._for_calls if asked.is_call else self._for_jobs

    def _known_voices(self, asked: Asked, stop: Stop) -> dict[str, Embedding]:
        """Name -> voice. Raises `UsageError` for a sound that cannot be used, `WorkStoppedError`."""
        recent = {one.name: self._recent.get(one.sound) for one in asked.known_speakers}
        fresh = {one.name: one.sound for one in asked.known_speakers if recent[one.name] is None}
        sounds = {name: self._known_sound(name, sound, stop) for name, sound in fresh.items()}
        voices = self._pipeline.voices(list(sounds.values()), stop=stop, background=_is_background(asked))
        for name, voice in zip(sounds, voices, strict=True):
            if voice is None:
                raise UsageError(f"{SOUNDS}: nobody speaks in the sound of {name!r}")
            self._recent.keep(fresh[name], voice)
            recent[name] = voice
        return {name: voice for name, voice in recent.items() if voice is not None}

    def _known_sound(self, name: str, sound: bytes, stop: Stop) -> Samples:
        """As `_known_voices`."""
        with self._file_of(sound) as path:
            items = self._for_known.decode(Recording(uri=str(path)), stop=stop)
            try:
                return known_sound(name, [item for item in items if isinstance(item, Window)])
            except AudioError as error:
                if stop.is_set:
                    raise WorkStoppedError(STOPPED) from None
                raise UsageError(f"{SOUNDS}: the sound of {name!r}: {error.message}") from error

    def _named(
        self, scored: ScoredRecording, known: Mapping[str, Embedding], decoder: _Stoppable, *, background: bool
    ) -> ScoredRecording:
        """The recording, its speakers named where their voice is a known one. Raises `WorkStoppedError`."""
        speakers = SpeakerSounds(own_stretches(scored.turns))
        try:
            with closing(decoder.decode(scored.recording, needed_ranges(speakers.ranges))) as items:
                for item in items:
                    if isinstance(item, Window):
                        speakers.add(item)
        except AudioError as error:
            if decoder.stop.is_set:
                raise WorkStoppedError(STOPPED) from None
            # It was read a moment ago: the decoder met its end, or the file another.
            return failed_to_decode(scored.recording, error)
        sounds = speakers.sounds()
        voices = self._pipeline.voices(list(sounds.values()), stop=decoder.stop, background=background)
        heard = {speaker: voice for speaker, voice in zip(sounds, voices, strict=True) if voice is not None}
        return with_names(scored, names_of(heard, known, self._pipeline.join_threshold))

    @contextmanager
    def _file_of(self, sound: bytes | Path) -> Iterator[Path]:
        """A file with these bytes, or the one that is there."""
        if isinstance(sound, Path):
            yield sound
            return
        with self._folder.file_of(sound) as path:
            yield path


class _Stoppable:
    """A decoder whose work for one call ends with the call."""

    def __init__(self, decoder: Decoder, stop: Stop) -> None:
        self._decoder, self.stop = decoder, stop

    def decode(
        self, recording: Recording, needed: Sequence[SoundRange] | None = None
    ) -> Generator[Window | AudioFacts, None, None]:
        return self._decoder.decode(recording, needed, self.stop)


def _is_background(asked: Asked) -> bool:
    """Whether nobody waits for the answer."""
    return asked.is_job and not asked.is_call


def start_child(decoder: Decoder) -> None:
    """Start a child, so that the first clip finds one; warn where it can reach the network.

    Raises `PreflightError` where none starts.
    """
    try:
        refusal = decoder.network_isolation()
    except AudioError as error:
        raise PreflightError(f"the decoder does not start: {error.message}; its stderr says why") from error
    if refusal is not None:
        logger.warning(
            "what is sent here is decoded with access to the network (%s): allow unprivileged user namespaces on this "
            "host to take it away",
            refusal,
        )


def clip_limits(profile: Profile) -> DecodeOptions:
    """What is decoded where the answer is waited for: no more than `serve` says."""
    return profile.decode.model_copy(
        update={
            "max_duration_s": min(profile.decode.max_duration_s, profile.serve.max_audio_s),
            "max_decoded_bytes": min(profile.decode.max_decoded_bytes, profile.serve.max_decoded_bytes),
        }
    )


def known_limits(profile: Profile) -> DecodeOptions:
    """What is decoded of the sounds of known speakers."""
    return clip_limits(profile).model_copy(update={"max_duration_s": MAX_KNOWN_S + SLACK_S})


def failed_to_decode(recording: Recording, error: AudioError) -> ScoredRecording:
    """The answer for a recording that could not be read to its end."""
    return ScoredRecording(recording, "failed", failure=Failure(error.code, "decode", error.message))


def answering_soon(profile: Profile) -> Profile:
    """The same profile, its batches smaller and sooner begun: that changes no answer."""
    import torch

    # A batch of minutes takes a GPU seconds and a core minutes, in which nobody is answered.
    batch_s = profile.run.batch_s if torch.cuda.is_available() else min(profile.run.batch_s, SLOT_S)
    run = profile.run.model_copy(update={"max_wait_s": profile.serve.max_wait_s, "batch_s": batch_s})
    return profile.model_copy(update={"run": run})


def _name_of(profile: Profile, key: str) -> str:
    """What a profile says at a key like `emotion.model` or `transcribe.align_models.de`."""
    table, field, *inside = key.split(".")
    value = getattr(getattr(profile, table), field)
    return str(value[inside[0]] if inside else value)
