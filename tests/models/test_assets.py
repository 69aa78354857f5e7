"""The embedded transcriber and speaker model as shipped, on the shipped calls."""

from __future__ import annotations

from pathlib import Path

import jiwer
import numpy as np
import soundfile
import torch

import mmer_ray
from mmer_ray.demo.truth import CALLS, TrueCall, TrueTurn, read_truth
from mmer_ray.models.ctc import bigrams
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.beam import BeamOptions, beam_search
from mmer_ray.models.ctc.vocabulary import to_text
from mmer_ray.models.speaker import checkpoint as speaker_checkpoint
from mmer_ray.models.speaker.model import embed
from mmer_ray.models.wav2vec2 import normalise, pad_batch

ASSETS = Path(mmer_ray.__file__).parent / "assets"


def turns_of(call: TrueCall) -> list[tuple[TrueTurn, np.ndarray]]:
    sound = soundfile.read(CALLS / call.file, dtype="float32", always_2d=True)[0]
    return [(turn, sound[int(turn.start_s * 16e3) : int(turn.end_s * 16e3), turn.channel]) for turn in call.turns]


def hear(utterances: list[np.ndarray]) -> list[str]:
    model, known = ctc_checkpoint.load(ASSETS / "ctc"), bigrams.load(ASSETS / "ctc")
    assert known is not None
    with torch.inference_mode():
        logits_BTV, num_frames_B = model(*pad_batch([normalise(samples) for samples in utterances]))
    logprobs_BTV = torch.log_softmax(logits_BTV, dim=-1).numpy()
    frames = zip(logprobs_BTV, num_frames_B.tolist(), strict=True)
    return [to_text(beam_search(one_TV[:count], known, BeamOptions())) for one_TV, count in frames]


def test_the_weights_stay_small() -> None:
    sizes = [path.stat().st_size for name in ("ctc", "speaker") for path in (ASSETS / name).iterdir()]
    assert sum(sizes) < 7_000_000


def test_unseen_voices_and_sentences_are_understood() -> None:
    turns = [pair for call in read_truth() if call.condition == "clean" for pair in turns_of(call)][:25]
    heard = hear([samples for _, samples in turns])
    assert jiwer.wer([turn.text for turn, _ in turns], heard) <= 0.12


def test_half_a_minute_at_once_is_understood_too() -> None:
    call = next(call for call in read_truth() if call.channels == 1 and call.condition == "clean")
    turns = [turn for turn in call.turns if turn.end_s <= 28]
    sound = soundfile.read(CALLS / call.file, dtype="float32")[0][: int((turns[-1].end_s + 0.1) * 16e3)]
    heard = hear([sound])
    assert jiwer.wer([" ".join(turn.text for turn in turns)], heard) <= 0.2


def test_the_two_people_of_a_call_are_told_apart() -> None:
    model = speaker_checkpoint.load(ASSETS / "speaker")
    closer = []
    for call in read_truth()[1::4]:
        turns = [(turn, samples) for turn, samples in turns_of(call) if len(samples) > 24_000]
        embeddings = embed(model, [samples for _, samples in turns])
        cosines = embeddings @ embeddings.T
        same = np.array([[a.speaker == b.speaker for b, _ in turns] for a, _ in turns])
        closer.append(cosines[same & ~np.eye(len(turns), dtype=bool)].mean() - cosines[~same].mean())
    assert min(closer) > 0.2
