"""`mmer score --set emotion.model=FOLDER` with models on a frozen Whisper, from the command line to the lake's rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmer_ray.demo.truth import CALLS
from mmer_ray.models import families
from mmer_ray.models.frozen_encoder.config import TINY as TINY_FROZEN
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.mmer.config import TINY as TINY_MMER
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.named_parts import on_pretrained
from mmer_ray.training.embedded_text import train_tokenizer
from tests.cli.makers import Ended
from tests.models.whisper_maker import TINY as TINY_WHISPER
from tests.models.whisper_maker import whisper_folder

Mmer = Callable[..., Ended]
ASKED = ("--profile", "synthetic", "--runner", "inprocess")
# Windows of a few seconds, so that utterances lie at their borders.
SHORT_WINDOWS = ("--set", "decode.window_s=20")
EMOTIONS = (
    "SELECT scorer, utterance_idx, label, skip_reason, p_angry, p_happy, p_neutral, p_sad FROM emotions "
    "ORDER BY scorer, utterance_idx"
)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    shutil.copy(min(CALLS.glob("*mono.opus"), key=lambda path: path.stat().st_size), folder)
    return folder


def emotions(mmer: Mmer, lake: Path) -> list[dict[str, object]]:
    ended = mmer("query", "--lake", lake, "-f", "json", EMOTIONS)
    assert ended.code == 0
    rows: list[dict[str, object]] = json.loads(ended.out)["rows"]
    return rows


def mmer_on_whisper(folder: Path) -> Path:
    """`mmer` of one width with its Whisper, which is named, and with a text encoder of its own."""
    torch.manual_seed(0)
    width = TINY_WHISPER.hidden_size
    text = {**(TINY_MMER.text or {}), "hidden_size": width}
    config = replace(TINY_MMER, audio={"model_type": "whisper", "hidden_size": width}, text=text)
    model = on_pretrained(MmerModel, config, encoder_name=str(whisper_folder(folder / "whisper"))).eval()
    families.save_emotion_model(folder / "mmer", model, train_tokenizer(["hello there"], vocab_size=300))
    return folder / "mmer"


def test_mmer_on_a_whisper_scores_a_corpus_through_its_folder(mmer: Mmer, call: Path, tmp_path: Path) -> None:
    lake, model = tmp_path / "lake", mmer_on_whisper(tmp_path)
    assert mmer("score", call, "--lake", lake, *ASKED, "--set", f"emotion.model={model}").code == 0
    rows = emotions(mmer, lake)
    assert rows
    for row in rows:
        assert str(row["scorer"]).startswith("mmer-")
        assert row["label"] in {"happy", "angry", "neutral", "sad"}
        total = sum(float(row[f"p_{label}"]) for label in ("angry", "happy", "neutral", "sad"))  # type: ignore[arg-type]
        assert total == pytest.approx(1, abs=0.003)


def adapting_head(folder: Path, *, temperature: float) -> Path:
    torch.manual_seed(0)
    config = replace(TINY_FROZEN, adapts_to_speaker=True, temperature=temperature)
    families.save_emotion_model(folder, FrozenEncoderModel(config), None)
    return folder


def test_emotions_that_adapt_to_speakers_are_the_same_rows_when_scored_again_alone(
    mmer: Mmer, call: Path, tmp_path: Path
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    head = adapting_head(tmp_path / "head", temperature=0.1)
    other = adapting_head(tmp_path / "other", temperature=1.0)
    whole = mmer("score", call, "--lake", first, *ASKED, *SHORT_WINDOWS, "--set", f"emotion.model={head}")
    assert whole.code == 0
    assert mmer("score", call, "--lake", again, *ASKED, *SHORT_WINDOWS, "--set", f"emotion.model={other}").code == 0
    # What was heard is there: this asks for emotions alone, of small batches.
    alone = ("--set", f"emotion.model={head}", "--set", "emotion.batch_s=3")
    assert mmer("score", call, "--lake", again, *ASKED, *SHORT_WINDOWS, *alone).code == 0
    expected = emotions(mmer, first)
    found = [row for row in emotions(mmer, again) if row["scorer"] == expected[0]["scorer"]]
    assert len(found) == len(expected) > 3
    for row, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            # Rows are rounded to a thousandth.
            assert row[name] == (pytest.approx(value, abs=0.0011) if isinstance(value, float) else value), name
