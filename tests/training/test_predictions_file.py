"""Predictions as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import read_predictions, write_predictions
from mmer_ray.training.utterances import Sound, Utterance

RICH = Utterance(
    "u1",
    Sound(Path("a b.wav"), 10, 900, 1, trimmed=True),
    "A",
    "sad",
    "",
    shares={"sad": 0.7, "happy": 0.3},
    dimensions=(0.1, -0.2, float("nan")),
    dialogue="d",
    session="1",
    sex="female",
    style="improvised",
    sentence="s",
    partition="test1",
    read_from="labels.csv:2",
)
BARE = Utterance("u2", Sound(Path("b.wav")), "B")
LOGITS = np.array([[1.5, -2.0], [0.25, 0.0]], np.float32)


def test_predictions_come_back_equal(tmp_path: Path) -> None:
    dimensions = np.array([[0.1, 0.2, np.nan], [0.3, -0.4, np.nan]], np.float32)
    given = Predictions((RICH, BARE), ("happy", "sad"), LOGITS, dimensions, fold="Session 1", seed=3)
    write_predictions(tmp_path / "deep" / "test.parquet", given)
    found = read_predictions(tmp_path / "deep" / "test.parquet")
    assert (found.labels, found.fold, found.seed) == (("happy", "sad"), "Session 1", 3)
    assert found.dimensions is not None
    np.testing.assert_array_equal(found.logits, LOGITS)
    np.testing.assert_array_equal(found.dimensions, dimensions)
    assert found.utterances[1] == BARE
    assert replace(found.utterances[0], dimensions=None) == replace(RICH, dimensions=None)
    np.testing.assert_array_equal(found.utterances[0].dimensions, RICH.dimensions)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["test.parquet"]


def test_a_model_without_dimensions_has_none_in_its_file(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", Predictions((RICH, BARE), ("happy", "sad"), LOGITS))
    assert read_predictions(tmp_path / "p.parquet").dimensions is None


def test_no_utterances_come_back_as_none(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", Predictions((), ("happy", "sad"), np.empty((0, 2), np.float32)))
    assert read_predictions(tmp_path / "p.parquet").logits.shape == (0, 2)


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"utterance_id": ["u1"]}), tmp_path / "other.parquet")
    with pytest.raises(UsageError, match=r"other\.parquet holds no predictions of the form"):
        read_predictions(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no", encoding="utf-8")
    with pytest.raises(UsageError, match=r"text\.parquet holds no predictions"):
        read_predictions(tmp_path / "text.parquet")
