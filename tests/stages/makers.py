"""Small values that the stage tests share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Emotion, Recording, Turn, Utterance, Window, Word

CALL = Recording(uri="/calls/a.wav")


def facts(duration_s: float, channels: int = 1) -> AudioFacts:
    return AudioFacts("0" * 32, duration_s, channels, SAMPLE_RATE_HZ, "pcm_s16le", "wav")


def utterance(
    start_s: float,
    end_s: float,
    speaker: str,
    text: str = "yes",
    channel: int = 0,
    valence: float | None = None,
    *,
    speaker_is_channel: bool = False,
) -> Utterance:
    parts = text.split()
    step_s = (end_s - start_s) / len(parts)
    words = tuple(Word(part, start_s + i * step_s, start_s + (i + 1) * step_s, 0.9) for i, part in enumerate(parts))
    emotions = () if valence is None else (Emotion("m", "sad", {"sad": 1.0}, 1.0, valence=valence),)
    return Utterance(
        start_s,
        end_s,
        channel,
        speaker,
        text,
        words,
        asr_logprob=-0.1,
        speaker_is_channel=speaker_is_channel,
        emotions=emotions,
    )


def window(
    start_s: float,
    end_s: float,
    *,
    index: int = 0,
    channel: int = 0,
    one_speaker: bool = False,
    turns: Sequence[Turn] = (),
    embeddings: Sequence[Sequence[float]] = (),
    utterances: Sequence[Utterance] = (),
) -> Window:
    vectors = tuple(np.array(e, dtype=np.float32) / np.float32(np.linalg.norm(e)) for e in embeddings)
    silence = np.zeros(round((end_s - start_s) * SAMPLE_RATE_HZ), dtype=np.int16)
    return Window(
        CALL,
        index,
        channel,
        start_s,
        end_s,
        silence,
        one_speaker,
        tuple(turns),
        vectors,
        utterances=tuple(utterances),
    )
