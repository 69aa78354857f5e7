"""An evaluation as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.result import (
    Calibration,
    ComparedSystem,
    Difference,
    Evaluation,
    FoldResult,
    Group,
    McNemar,
    Measure,
    ReliabilityBin,
    TextCondition,
    read_evaluation,
)

FOUND = Evaluation(
    system="mmer small",
    corpus="ravdess",
    labels=("angry", "sad"),
    num_utterances=3,
    num_speakers=2,
    metrics={"ua": Measure(0.5, 0.4, 0.6, fold_mean=0.51, fold_sd=0.1), "wa": Measure(2 / 3)},
    recall={"angry": Measure(1.0), "sad": Measure(0.0)},
    confusion=((2, 0), (1, 0)),
    folds=(FoldResult("fold 1", 0, 3, {"ua": 0.5}),),
    text=TextCondition("asr", "whisper base", 0.21),
    groups=(Group("sex", "female", 2, 1, {"ua": Measure(0.5)}),),
    calibration=Calibration(
        "too few", 0.2, 0.1, 0.15, 0.05, 1000, 3, {"fold 1, seed 0": 1.2}, 1.2, (ReliabilityBin(0, 0.1, 3, 0.05, 0.3),)
    ),
    compared=(ComparedSystem("majority", {}, {"ua": Difference(0.1, -0.1, 0.3, 0.4)}, (McNemar(0, 2, 1, 1.0),)),),
    num_left_out={"no label": 4},
    notes=("few speakers",),
)


def test_an_evaluation_comes_back_from_json_equal(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(FOUND.to_json(), encoding="utf-8")
    assert read_evaluation(path) == FOUND
    assert json.loads(FOUND.to_json())["metrics"]["ua"]["low"] == 0.4


def test_a_file_that_is_none_is_refused_by_name_and_place(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    document = json.loads(FOUND.to_json())
    path.write_text(json.dumps(document | {"metrics": {"ua": {"low": 0.1}}}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"evaluation\.json.*metrics\.ua\.value"):
        read_evaluation(path)
    path.write_text(json.dumps(document | {"schema": "mmer.evaluation/0"}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"evaluation/0.*evaluate the model again"):
        read_evaluation(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_evaluation(tmp_path / "none.json")
