"""`mmer lake compare`: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import Ended
from tests.lake.two_models import A, B, two_models_lake

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_models_lake(tmp_path_factory.mktemp("models"))


def test_it_prints_agreement_confusion_shift_and_the_largest_disagreements(mmer: Run, two_models: Path) -> None:
    done = mmer("lake", "compare", A, B, "--lake", two_models, "--limit", 1)
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == f"A = {A}, B = {B}: 6 utterances that both were asked about"
    assert lines[1] == "labelled by both 4, by A alone 1, by B alone 1"
    assert lines[2] == "agreement 50.0%, Cohen's kappa 0.000"
    assert "angry 1 1" in lines
    assert "angry 50.0% 50.0% +0.0 points" in lines
    assert "valence: B lies +0.250 from A on average, over 6 utterances" in lines
    assert lines[-1] == "0.700 angry neutral 10.00 s call.wav sentence 1"


def test_json_has_everything(mmer: Run, two_models: Path) -> None:
    document = json.loads(mmer("lake", "compare", A, B, "--lake", two_models, "--json").out)
    assert (document["schema"], document["agreement"], document["labels"]) == (
        *("mmer.compare/1", 0.5),
        ["angry", "neutral"],
    )
    assert document["shifts"] == {"valence": {"mean": 0.25, "num_utterances": 6}}
    assert document["disagreements"][0]["text"] == "sentence 1"


def test_a_model_without_answers_is_refused(mmer: Run, two_models: Path) -> None:
    ended = mmer("lake", "compare", A, "nobody", "--lake", two_models)
    assert (ended.code, "'nobody' has no answers" in ended.err) == (2, True)
