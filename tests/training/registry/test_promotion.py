"""From finished runs to the active model, past the gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.result import TextCondition
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.registry import promotion
from mmer_ray.training.registry.gate import judge
from mmer_ray.training.registry.promotion import Promotion, promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.run_folder import FinishedRun, read_run
from mmer_ray.training.registry.shared_data import Judged
from mmer_ray.training.registry.verdict import Gate
from mmer_ray.training.utterances import Corpus
from tests.training.registry.makers import CORPUS, answers, run, run_folder

GATE = Gate(floor=0.5, margin=0.02)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def good(tmp_path: Path) -> FinishedRun:
    return run(tmp_path / "good", 0.8)


def refused(registry: Registry, candidate: FinishedRun, gate: Gate = GATE) -> Promotion:
    """Promote in vain: neither the models nor the active one change."""
    before = registry.names(), registry.activations()
    found = promote(registry, candidate, gate)
    assert not found.promoted
    assert (registry.names(), registry.activations()) == before
    return found


def relabelled(many: list[Predictions]) -> list[Predictions]:
    """The same answers, whose truth says `shouted` where it said `sad`."""
    return [
        replace(
            one, utterances=tuple(replace(said, label=said.label.replace("sad", "shouted")) for said in one.utterances)
        )
        for one in many
    ]


def test_the_first_model_needs_the_floor_alone_and_becomes_active(registry: Registry, good: FinishedRun) -> None:
    found = promote(registry, good, GATE)
    assert (found.promoted, found.is_new, found.verdict.paired) == (True, True, None)
    assert found.name == found.scorer == f"late_fusion-{good.model.digest[:8]}" == registry.active()


def test_a_model_below_the_floor_is_refused_with_both_numbers(registry: Registry, tmp_path: Path) -> None:
    candidate = run(tmp_path / "poor", 0.4)
    (reason,) = refused(registry, candidate).verdict.reasons
    assert reason == f"ua {candidate.evaluation.metrics['ua'].value:.3f} lies below the floor of 0.500"


def test_a_worse_model_is_refused_with_both_numbers_and_the_interval(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    active = promote(registry, good, GATE)
    worse = run(tmp_path / "worse", 0.7, chance=1)
    found = refused(registry, worse).verdict
    assert found.paired is not None
    assert found.paired.value == pytest.approx(worse.evaluation.metrics["ua"].value)
    assert found.paired.active_value == pytest.approx(good.evaluation.metrics["ua"].value)
    (reason,) = found.reasons
    assert f"{found.paired.value:.3f} against {found.paired.active_value:.3f} of {active.name}" in reason
    assert "480 utterances of 24 speakers" in reason
    assert "must not reach below -0.020" in reason


def test_twenty_planted_worse_models_are_all_refused(good: FinishedRun) -> None:
    for chance in range(20):
        predictions = answers(0.72, chance=100 + chance)
        found = evaluate(predictions, "worse", CORPUS, Conditions(num_resamples=2))
        verdict = judge(Judged("worse", found, predictions), Judged("good", good.evaluation, good.predictions), GATE)
        assert not verdict.passed


def test_a_better_model_takes_the_place_of_the_active_one(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    first = promote(registry, good, GATE)
    second = promote(registry, run(tmp_path / "better", 0.9, chance=2), GATE)
    assert second.promoted
    assert [one.name for one in registry.activations()] == [first.name, second.name]
    assert registry.active() == second.active == second.name
    assert second.verdict.paired is not None
    assert second.verdict.paired.difference.value > 0


def test_a_family_with_its_classes_in_another_order_is_compared_by_their_names(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    promote(registry, good, GATE)
    order = ("neutral", "happy", "sad", "angry")
    better = [one.in_order(order) for one in answers(0.9, chance=2)]
    candidate = read_run(run_folder(tmp_path / "better", better, replace(CORPUS, labels=order)))
    assert candidate.evaluation.labels != good.evaluation.labels
    found = promote(registry, candidate, GATE).verdict
    assert found.passed
    assert found.paired is not None
    assert found.paired.active_value == pytest.approx(good.evaluation.metrics["ua"].value)


def test_few_data_refuse_what_they_cannot_tell_from_worse(registry: Registry, tmp_path: Path) -> None:
    promote(registry, run(tmp_path / "first", 0.8, num_speakers=4), GATE)
    equal = run(tmp_path / "equal", 0.8, num_speakers=4, chance=7)
    found = refused(registry, equal).verdict
    assert found.paired is not None
    assert found.paired.difference.value > 0
    assert "4 speakers: intervals of fewer than 20 are too narrow" in found.paired.notes[0]


def test_promoting_the_same_run_again_changes_nothing(registry: Registry, good: FinishedRun, tmp_path: Path) -> None:
    first = promote(registry, good, GATE)
    before = {file: file.read_bytes() for file in registry.folder.rglob("*") if file.is_file()}
    again = promote(registry, good, Gate(floor=0.99))
    assert again == replace(first, is_new=False)
    assert {file: file.read_bytes() for file in registry.folder.rglob("*") if file.is_file()} == before
    better = promote(registry, run(tmp_path / "better", 0.9, chance=2), GATE)
    assert promote(registry, good, GATE).active == better.name, "an older model does not come back by itself"


def test_a_promotion_that_was_killed_before_the_activation_is_finished_by_the_next(
    registry: Registry, good: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Registry, name: str) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "activate", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(registry, good, GATE)
    assert (len(registry.names()), registry.active()) == (1, None)
    assert promote(registry, good, GATE).name == registry.active()


def test_data_that_grew_are_compared_on_what_both_were_tested_on(registry: Registry, tmp_path: Path) -> None:
    promote(registry, run(tmp_path / "first", 0.7, num_speakers=24), GATE)
    found = promote(registry, run(tmp_path / "more", 0.85, num_speakers=40, chance=3), GATE)
    assert found.promoted
    assert found.verdict.paired is not None
    assert (found.verdict.paired.num_utterances, found.verdict.paired.num_speakers) == (480, 24)


def test_other_data_words_or_labels_are_no_ground_for_a_comparison(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    promote(registry, good, GATE)
    better = answers(0.9, chance=2)
    others = {
        "its words were asr transcripts": (CORPUS, Conditions("kfold", TextCondition("asr"), num_resamples=50)),
        "(oracle)": (CORPUS, Conditions("kfold", oracle=True, num_resamples=50)),
    }
    for number, (why, (corpus, conditions)) in enumerate(others.items()):
        candidate = read_run(run_folder(tmp_path / str(number), better, corpus, conditions))
        assert any(why in reason for reason in refused(registry, candidate).verdict.reasons), why
    shouted = [replace(one, labels=("angry", "happy", "neutral", "shouted")) for one in better]
    renamed = replace(CORPUS, labels=("angry", "happy", "neutral", "shouted"))
    candidate = read_run(run_folder(tmp_path / "labels", relabelled(shouted), renamed))
    assert any("it answers with" in reason for reason in refused(registry, candidate).verdict.reasons)
    fewer = run(tmp_path / "fewer", 0.9, num_speakers=10, chance=2)
    (reason,) = refused(registry, fewer).verdict.reasons
    assert "200 of the 480 utterances" in reason
    assert reason.endswith("to begin anew, set MMER_REGISTRY to a new folder")


def test_a_corpus_that_was_renamed_is_compared_all_the_same(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    promote(registry, good, GATE)
    renamed = read_run(run_folder(tmp_path / "better", answers(0.9, chance=2), replace(CORPUS, name="renamed")))
    found = promote(registry, renamed, GATE)
    assert found.promoted
    assert found.verdict.paired is not None


def test_a_dry_run_judges_and_writes_nothing(registry: Registry, good: FinishedRun) -> None:
    found = promote(registry, good, GATE, dry_run=True)
    assert (found.promoted, found.active) == (True, None)
    assert not registry.folder.exists()


def test_a_name_of_ones_own_is_free_once_and_means_one_model(
    registry: Registry, good: FinishedRun, tmp_path: Path
) -> None:
    assert promote(registry, good, GATE, "calls-1").name == "calls-1"
    assert promote(registry, good, GATE, "calls-1").is_new is False
    better = run(tmp_path / "better", 0.9, chance=2)
    for name in ("calls-1", "mmer", "embedded", "tiny.en", "../up", "a b", ""):
        with pytest.raises(UsageError, match="--name"):
            promote(registry, better, GATE, name)
    with pytest.raises(UsageError, match="registered already, as calls-1"):
        promote(registry, good, GATE, "calls-2")


def test_an_entry_holds_config_digests_card_folds_metrics_and_revision(
    registry: Registry, good: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "code_revision", lambda: "f" * 40)
    name = promote(registry, good, GATE).name
    entry = registry.read(name)
    assert (entry.family, entry.config, entry.revision) == ("late_fusion", {"family": "late_fusion"}, "f" * 40)
    assert (entry.sha256, set(entry.files)) == (
        good.model.sha256,
        {"MODEL_CARD.md", "config.json", "model.safetensors"},
    )
    assert entry.run["revision"] == "abc"
    assert (entry.data.num_utterances, entry.data.num_speakers, sum(entry.data.labels.values())) == (480, 24, 480)
    assert [fold.name for fold in entry.folds] == ["fold 1", "fold 2"]
    assert not set(entry.folds[0].speakers) & set(entry.folds[1].speakers)
    assert entry.metrics == good.evaluation.metrics
    assert entry.verdict.gate == GATE
    assert json.loads(entry.to_json())["schema"] == "mmer.registered_model/1"


def test_no_transcript_enters_the_registry(registry: Registry, good: FinishedRun) -> None:
    name = promote(registry, good, GATE).name
    kept = registry.judged(name)
    assert {one.text for fold in kept.predictions for one in fold.utterances} == {None}
    assert not [file for file in registry.folder.rglob("*") if file.is_file() and b"secret words" in file.read_bytes()]


def test_a_run_that_is_not_finished_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", answers(0.8))
    (folder / "evaluation.json").unlink()
    (folder / "model" / "MODEL_CARD.md").unlink()
    with pytest.raises(
        UsageError, match=r"no evaluation.json, no model/MODEL_CARD.md: .*finishes one that was stopped"
    ):
        read_run(folder)
    with pytest.raises(UsageError, match=r"no seeds/\*/\*/test.parquet"):
        read_run(tmp_path)


def test_a_corpus_by_another_digest_is_the_same_where_its_utterances_are(registry: Registry, tmp_path: Path) -> None:
    corpus = Corpus("calls", (), CORPUS.labels, "d" * 64)
    promote(registry, read_run(run_folder(tmp_path / "first", answers(0.7))), GATE)
    assert promote(registry, read_run(run_folder(tmp_path / "next", answers(0.9, chance=1), corpus)), GATE).promoted
