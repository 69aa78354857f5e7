"""Lakes for the tests of the player: recordings with sound of their own and answers of every kind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import RunOptions
from mmer_ray.records import AudioFacts, Emotion, ScoredRecording, SpeakerTurn, Utterance, Word
from mmer_ray.stages.measures import measure
from mmer_ray.tables import CLASSES
from tests.lake.makers import KEYS, a_run, content_digest, plan_of, recording_at, taken

SENTENCES = (
    "good morning how can i help you today",
    "my parcel was promised for monday and nobody has called me",
    "i am sorry to hear that let me look into it",
    "this is the third time i have to explain all of this and i am tired of it",
    "thank you that is very kind",
    "could you give me the number on the invoice please",
    "yes",
    "no that is not what i was told last week",
)
RATE_HZ = 8_000
BLOCK_S = 60


def call_lake(
    folder: Path, durations_s: Sequence[float] = (60.0,), corpus: str = "calls", container: str = "wav"
) -> Lake:
    """A lake with a call for each duration, `call_0.wav` first: two people on one channel, who talk at the same time
    now and then; labels sure and unsure, withheld ones, utterances too short; valence and arousal."""
    audio = folder / "audio" / corpus
    audio.mkdir(parents=True, exist_ok=True)
    recordings = []
    for number, duration_s in enumerate(durations_s):
        said = utterances(duration_s, random.Random(f"{corpus} {number}"))
        write_tones(audio / f"call_{number}.{container}", duration_s, said)
        recordings.append(scored_call(audio / f"call_{number}.{container}", audio, corpus, duration_s, said))
    lake = Lake(folder / "lake")
    plan = plan_of([one.recording for one in recordings], lake, KEYS)
    by_uri = {one.recording.uri: one for one in recordings}
    with Writer(lake, a_run(KEYS), plan, RunOptions(commit_every_s=1e9)) as writer:
        for task in plan.tasks(lake, plan.todo):
            writer.add(taken(by_uri[task.recording.uri]))
        writer.commit()
        writer.finish()
    return lake


def scored_call(path: Path, root: Path, corpus: str, duration_s: float, said: Sequence[Utterance]) -> ScoredRecording:
    """What a job would have made of it."""
    turns = tuple(SpeakerTurn(one.start_s, one.end_s, 0, one.speaker, 0.8) for one in said)
    measures = measure(said, duration_s, turns)
    return ScoredRecording(
        recording=recording_at(path, root, corpus),
        status="scored",
        audio=AudioFacts(content_digest(path.read_bytes()), duration_s, 1, RATE_HZ, "pcm_s16le", path.suffix[1:]),
        utterances=tuple(said),
        turns=turns,
        measures=measures,
        num_speakers=2,
        speech_s=duration_s - measures.silence_s,
        non_speech_s=measures.silence_s,
        overlap_s=measures.overlap_s,
        language="en",
        language_p=0.99,
        scorer=KEYS.scorer,
    )


def utterances(duration_s: float, chance: random.Random) -> list[Utterance]:
    """Two people in turn; every seventh utterance begins before the one before it has ended."""
    found: list[Utterance] = []
    at_s = 0.5
    while at_s + 6 < duration_s:
        number = len(found)
        text = SENTENCES[chance.randrange(len(SENTENCES))]
        words = text.split()
        end_s = round(at_s + max(0.4, 0.35 * len(words)), 3)
        step_s = (end_s - at_s) / len(words)
        spoken = tuple(
            Word(word, round(at_s + place * step_s, 3), round(at_s + (place + 1) * step_s, 3), chance.uniform(0.6, 1))
            for place, word in enumerate(words)
        )
        found.append(
            Utterance(
                start_s=round(at_s, 3),
                end_s=end_s,
                channel=0,
                speaker=f"S{1 + number % 2}",
                text=text,
                words=spoken,
                language="en",
                language_p=0.98,
                asr_logprob=-0.2,
                overlap_s=0.8 if number % 7 == 6 else 0.0,
                speaker_confidence=0.8,
                snr_db=chance.uniform(5, 30),
                emotions=(emotion(text, at_s / duration_s, chance),),
            )
        )
        at_s = end_s + (-0.8 if number % 7 == 5 else chance.uniform(0.2, 1.2))
    return found


def emotion(text: str, place: float, chance: random.Random) -> Emotion:
    """Angrier towards the two thirds of a call; yes and no are too short, some answers are withheld."""
    if text == "yes":
        return Emotion(KEYS.scorer, None, skip_reason="too_short")
    anger = max(0.0, 0.9 - 5 * abs(place - 0.66)) * ("tired" in text or "not what" in text or chance.random() < 0.4)
    weights = {name: chance.random() ** 3 for name in CLASSES} | {"neutral": 0.6 * chance.random()}
    rest = sum(weights.values())
    shares = {name: (1 - anger) * share / rest for name, share in weights.items()}
    shares["angry"] += anger
    label = max(shares, key=lambda name: shares[name])
    confidence = shares[label]
    return Emotion(
        KEYS.scorer,
        label if confidence > 0.3 else None,
        {name: round(share, 3) for name, share in shares.items()},
        round(confidence, 3),
        valence=round(0.5 * (shares["happy"] - shares["sad"]) - anger + chance.uniform(-0.1, 0.1), 3),
        arousal=round(min(1.0, anger + chance.uniform(-0.3, 0.3)), 3),
        skip_reason=None if confidence > 0.3 else "low_confidence",
    )


def write_tones(path: Path, duration_s: float, said: Sequence[Utterance]) -> None:
    """A hum while somebody speaks, higher for the second one, written a minute at a time."""
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, subtype="PCM_16") as file:
        for first_s in range(0, int(np.ceil(duration_s)), BLOCK_S):
            length_s = min(BLOCK_S, duration_s - first_s)
            at_s = first_s + np.arange(int(length_s * RATE_HZ)) / RATE_HZ
            samples = np.random.default_rng(first_s).normal(0, 0.002, len(at_s))
            for one in said:
                if one.end_s > first_s and one.start_s < first_s + length_s:
                    samples += _hum(at_s, one)
            file.write(samples)


def _hum(at_s: np.ndarray, one: Utterance) -> np.ndarray:
    inside = (at_s >= one.start_s) & (at_s < one.end_s)
    pitch_hz = 120 if one.speaker == "S1" else 210
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.5 * (at_s - one.start_s))
    loud = 0.12 + 0.35 * (one.emotions[0].arousal or 0.0)
    hum: np.ndarray = inside * loud * syllables * np.sin(2 * np.pi * pitch_hz * at_s)
    return hum
