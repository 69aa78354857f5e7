"""Making the demo corpus: twenty spoken calls and their truth, from voices and sentences that training never saw."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mmer_ray.demo.acoustics import OPUS_COMPRESSION, add_at_snr, pink_noise, telephone
from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.demo.script import ScriptedTurn, write_script
from mmer_ray.demo.synthesis import speak
from mmer_ray.demo.truth import MANIFEST_NAME, TRUTH_NAME, TrueCall, TrueTurn
from mmer_ray.demo.voices import Speaker, draw_delivery, draw_speaker
from mmer_ray.records import SAMPLE_RATE_HZ

CONDITIONS = ("clean", "noise", "telephone", "clean", "telephone and noise")
GAP_RANGE_S = (0.2, 0.8)
OVERLAP_RANGE_S = (0.1, 0.35)
OVERLAP_SHARE = 0.08
PAUSE_RANGE_S = (0.15, 0.35)
EDGE_S = 0.5
NOISE_SNR_RANGE_DB = (18.0, 30.0)
HISS_SNR_DB = 55.0
FIRST_DAY = date(2026, 6, 1)
"""A Monday."""
NUM_DAYS, DAYS_A_WEEK = 10, 5
"""Working days. Calls are dealt to them in turn, so that moods, which follow one another in pairs, mix on each day."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class CorpusPlan:
    """What the shipped corpus is made from."""

    num_calls: int = 20
    seed: int = 2


def build_corpus(folder: Path, plan: CorpusPlan) -> list[TrueCall]:
    """Write every call and the truth; the same plan gives the same sound and truth."""
    folder.mkdir(parents=True, exist_ok=True)
    calls = [_build_call(folder, index, plan.seed) for index in range(plan.num_calls)]
    truth = json.dumps([asdict(call) for call in calls], indent=1)
    (folder / TRUTH_NAME).write_text(truth + "\n", encoding="utf-8")
    write_manifest(folder / MANIFEST_NAME, calls)
    return calls


def write_manifest(file: Path, calls: Sequence[TrueCall]) -> None:
    """Write a row for each call: its file beside the manifest, and its day."""
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("uri", "recorded_at"))
        for index, call in enumerate(calls):
            weeks, days = divmod(index % NUM_DAYS, DAYS_A_WEEK)
            writer.writerow((call.file, FIRST_DAY + timedelta(weeks=weeks, days=days)))


def _build_call(folder: Path, index: int, seed: int) -> TrueCall:
    rng = random.Random(f"{seed}/{index}")  # noqa: S311  (a corpus, not a secret)
    noise_rng = np.random.default_rng([seed, index])
    num_channels = 2 - index % 2
    speakers = _draw_pair(rng)
    mood = FEELINGS[(index // 2) % len(FEELINGS)]
    spoken = [_speak_turn(rng, turn, speakers[turn.role]) for turn in write_script(rng, mood)]
    turns = _place(rng, spoken, speakers, num_channels)
    condition = CONDITIONS[(index // 2) % len(CONDITIONS)]
    tracks = _mix(turns, [samples for _, samples in spoken], num_channels)
    tracks = [_record(track, condition, noise_rng) for track in tracks]
    file = f"call_{index + 1:02d}_{'stereo' if num_channels == 2 else 'mono'}.opus"
    sound = np.stack(tracks, axis=1)
    soundfile.write(
        folder / file, sound, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=OPUS_COMPRESSION
    )
    return TrueCall(file, num_channels, condition, round(len(sound) / SAMPLE_RATE_HZ, 3), tuple(turns))


def _draw_pair(rng: random.Random) -> dict[str, Speaker]:
    """Draw two people as chance has it, but never of the same variant."""
    agent = customer = draw_speaker(rng, "demo")
    while customer.variant == agent.variant:
        customer = draw_speaker(rng, "demo")
    return {"agent": agent, "customer": customer}


def _speak_turn(rng: random.Random, turn: ScriptedTurn, speaker: Speaker) -> tuple[ScriptedTurn, Samples]:
    """Speak a turn's sentences with one delivery and small pauses: float32, shape (num_samples,)."""
    delivery = draw_delivery(rng, speaker, turn.feeling)
    pieces: list[Samples] = []
    for sentence in turn.sentences:
        pause = np.zeros(round(rng.uniform(*PAUSE_RANGE_S) * SAMPLE_RATE_HZ), np.float32)
        pieces += [pause, speak(sentence.spoken, speaker, delivery)]
    return turn, np.concatenate(pieces[1:])


def _place(
    rng: random.Random, spoken: list[tuple[ScriptedTurn, Samples]], speakers: dict[str, Speaker], num_channels: int
) -> list[TrueTurn]:
    """Lay the turns out in time, with gaps and a few overlaps."""
    turns: list[TrueTurn] = []
    start_s = EDGE_S
    for turn, samples in spoken:
        end_s = start_s + len(samples) / SAMPLE_RATE_HZ
        channel = 1 if num_channels == 2 and turn.role == "customer" else 0
        speaker = f"{turn.role} {speakers[turn.role].speaker_id}"
        turns.append(TrueTurn(round(start_s, 3), round(end_s, 3), channel, speaker, turn.text, turn.feeling))
        overlaps = rng.random() < OVERLAP_SHARE
        start_s = end_s + (-rng.uniform(*OVERLAP_RANGE_S) if overlaps else rng.uniform(*GAP_RANGE_S))
    return turns


def _mix(turns: list[TrueTurn], spoken: list[Samples], num_channels: int) -> list[Samples]:
    """Add each turn to its channel: float32 tracks of one length."""
    num_samples = round((max(turn.end_s for turn in turns) + EDGE_S) * SAMPLE_RATE_HZ)
    tracks = [np.zeros(num_samples, np.float32) for _ in range(num_channels)]
    for turn, samples in zip(turns, spoken, strict=True):
        start = round(turn.start_s * SAMPLE_RATE_HZ)
        tracks[turn.channel][start : start + len(samples)] += samples
    return tracks


def _record(track: Samples, condition: str, rng: np.random.Generator) -> Samples:
    """Give a track the sound of its line."""
    snr_db = rng.uniform(*NOISE_SNR_RANGE_DB) if "noise" in condition else HISS_SNR_DB
    track = add_at_snr(track, pink_noise(len(track), rng), snr_db)
    if "telephone" in condition:
        track = telephone(track)
    return np.clip(track, -1, 1)
