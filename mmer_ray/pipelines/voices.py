"""The voices of sounds that hold one person each: embeddings by the diarizer, beside everything else that is heard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue

from mmer_ray.audio.stop import Stop
from mmer_ray.pipelines.batcher import Batcher
from mmer_ray.pipelines.scoring import STOPPED, Heard, WorkStoppedError
from mmer_ray.records import SAMPLE_RATE_HZ, Embedding, Given, Recording, Samples, Window


def voices_of(
    hearing: Batcher[Window, Heard], sounds: Sequence[Samples], stop: Stop, patience_s: float
) -> list[Embedding | None]:
    """The voice that speaks longest in each sound, L2-normalised, shape (embedding_dim,); None where nobody speaks.

    Raises `WorkStoppedError`.
    """
    ended: SimpleQueue[Future[Heard] | None] = SimpleQueue()
    futures = [hearing.submit(_window(sound), patience_s) for sound in sounds]
    for future in futures:
        future.add_done_callback(ended.put)
    try:
        with stop.calling(lambda: ended.put(None)):
            for _ in futures:
                if ended.get() is None:
                    raise WorkStoppedError(STOPPED)
    finally:
        for future in futures:
            future.cancel()
    return [_voice(future.result()[0]) for future in futures]


def _window(sound: Samples) -> Window:
    """A window whose words are given, so that none are looked for."""
    return Window(Recording(uri=""), 0, 0, 0.0, len(sound) / SAMPLE_RATE_HZ, sound, given=Given(words=()))


def _voice(window: Window) -> Embedding | None:
    seconds: defaultdict[int, float] = defaultdict(float)
    for turn in window.turns:
        seconds[turn.speaker] += turn.end_s - turn.start_s
    return window.embeddings[max(seconds, key=lambda speaker: seconds[speaker])] if seconds else None
