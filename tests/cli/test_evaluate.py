"""`mmer evaluate` and `mmer lake drift`: what they ask for, what they say and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.lake.annotations import annotate
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.runners import evaluation
from mmer_ray.runners.evaluation import Evaluated, Wanted
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.utterances import Corpus
from tests.cli.makers import Ended
from tests.lake.two_models import A, two_models_lake
from tests.training.evaluation.makers import LABELS, random_predictions

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with answers of two models about six utterances, all labelled."""
    lake = two_models_lake(tmp_path_factory.mktemp("models"))
    table = lake.parent / "labels.csv"
    labels = ("angry", "angry", "neutral", "neutral", "angry", "angry")
    uri = lake.parent / "calls" / "call.wav"
    lines = [f"{uri},{index},ann,{label}" for index, label in enumerate(labels)]
    table.write_text("\n".join(["recording,utterance_idx,rater,label", *lines]) + "\n", encoding="utf-8")
    annotate(Lake(lake), table)
    return lake


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Wanted]]:
    """What a model's evaluation is asked for; it answers with made predictions."""
    found: list[tuple[str, Wanted]] = []

    def answer(model: str, wanted: Wanted, note: Callable[[str], None]) -> Evaluated:
        found.append((model, wanted))
        note("a baseline is missing")
        predictions = [random_predictions(3, 20)]
        conditions = Conditions(num_left_out={"too short": 2})
        return Evaluated(evaluate(predictions, "made-1", Corpus("made", (), LABELS, "d"), conditions), predictions)

    monkeypatch.setattr(evaluation, "evaluate_model", answer)
    return found


def test_all_arguments_reach_the_evaluation(mmer: Run, asked: list[tuple[str, Wanted]]) -> None:
    options = ("--kind", "ravdess", "--baselines", "--protocol", "loso", "--cluster", "dialogue", "--text", "none")
    more = (
        "--classes",
        "own",
        "--against",
        "a",
        "--against",
        "b",
        "--asr",
        "t.csv",
        "--asr-system",
        "w",
        "--leave-out-unknown",
    )
    assert mmer("evaluate", "m", "--data", "d", *options, *more).code == 0
    against = ("a", "b")
    assert asked == [
        ("m", Wanted(Path("d"), "ravdess", "own", "loso", True, against, "dialogue", "none", Path("t.csv"), "w", True))
    ]


def test_it_prints_figures_with_intervals_and_what_was_left_out(mmer: Run, asked: list[tuple[str, Wanted]]) -> None:
    done = mmer("evaluate", "m", "--data", "d")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "made-1 on made: 60 utterances, 3 speakers"
    assert any(line.startswith("ua 0.") and " to 0." in line for line in lines)
    assert any(line.startswith("recall angry 0.") for line in lines)
    assert "left out: 2 utterances, too short" in lines
    assert any("3 speakers: intervals of fewer than 20" in line for line in lines)
    assert "a baseline is missing" in done.err
    assert "a baseline is missing" not in mmer("evaluate", "m", "--data", "d", "--quiet").err


def test_into_has_the_report_and_the_predictions(mmer: Run, asked: list[tuple[str, Wanted]], tmp_path: Path) -> None:
    done = mmer("evaluate", "m", "--data", "d", "--into", tmp_path / "out", "--json")
    assert json.loads(done.out) == json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("evaluation.json", "report.md", "pictures", "predictions.parquet"),
    }


def test_one_thing_is_evaluated_at_a_time(mmer: Run) -> None:
    for words in ((), ("m", "--lake", "l")):
        done = mmer("evaluate", *words)
        assert (done.code, "name a model, a run's folder, or --lake" in done.err) == (2, True)
    done = mmer("evaluate", "m", "--scorer", "s")
    assert (done.code, "--scorer and --corpus are for a scored lake" in done.err) == (2, True)
    done = mmer("evaluate", "m")
    assert (done.code, "--data is missing" in done.err) == (2, True)


def test_a_scored_lake_is_evaluated_by_its_own_annotations(mmer: Run, annotated: Path) -> None:
    done = mmer("evaluate", "--lake", annotated, "--scorer", A, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["system"], document["num_utterances"], document["text"]["source"]) == (A, 6, "asr")
    # Its answers are angry, angry, neutral, neutral, a tie and neutral; a tie goes to the first class.
    assert document["metrics"]["wa"]["value"] == pytest.approx(5 / 6)
    refused = mmer("evaluate", "--lake", annotated, "--scorer", A, "--text", "none")
    assert (refused.code, "are for a model that is asked now" in refused.err) == (2, True)


def test_drift_is_a_table_and_says_what_is_too_few(mmer: Run, annotated: Path) -> None:
    with open_lake(annotated) as reader:
        query = "SELECT DISTINCT run_id FROM emotions JOIN commits USING (commit_id) WHERE emotions.scorer = $scorer"
        (row,) = reader.rows(query, {"scorer": A})
    done = mmer("lake", "drift", row["run_id"], row["run_id"], "--lake", annotated)
    assert done.code == 0, done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert any(line.startswith("label 6 6 0.000 ") and line.endswith("too few") for line in lines)
    assert lines[-1] == "too few: 300 answers of each run are needed"
    document = json.loads(mmer("lake", "drift", row["run_id"], row["run_id"], "--lake", annotated, "--json").out)
    assert (document["schema"], document["quantities"][0]["verdict"]) == ("mmer.drift/1", "too few")
