"""What a run was asked for, on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.fresh_model import Architecture, build
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.run import Asked, RunFolder
from mmer_ray.training.utterances import Split
from tests.training.tones import corpus_of, same_weights, tones

ASKED = Asked(Architecture("late_fusion"), Recipe(), data="tones")


def test_what_was_asked_for_is_written_down_and_asked_again(tmp_path: Path) -> None:
    utterances = tuple(tones(tmp_path / "sounds", 4))
    corpus, split = corpus_of(utterances), Split("Fold 1", utterances, (), ())
    run = RunFolder(tmp_path / "run")
    run.begin(ASKED, corpus, [split])
    run.begin(ASKED, corpus, [split])
    table = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (table["schema"], table["folds"]) == ("mmer.run/1", ["Fold 1"])
    assert table["architecture"] == {"family": "late_fusion", "size": "tiny", "encoder": None, "text_encoder": None}
    assert (table["corpus"]["digest"], table["protocol"], table["seeds"]) == (corpus.digest, "kfold", [0])
    with pytest.raises(UsageError, match="holds a run with another protocol, seeds: name a new folder"):
        run.begin(replace(ASKED, protocol="loso", seeds=(0, 1)), corpus, [split])
    with pytest.raises(UsageError, match="holds a run with another corpus"):
        run.begin(ASKED, replace(corpus, digest="1" * 64), [split])


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no run"):
        RunFolder(tmp_path).begin(ASKED, corpus_of(tones(tmp_path / "sounds", 4)), [])


def test_folds_of_other_names_have_other_folders_inside_the_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    names = ["Fold 1", "a/b", "a_b", "a%2Fb"]
    folders = [run.fold(0, name) for name in names]
    assert folders[0] == tmp_path / "seeds" / "0" / "Fold 1"
    assert len(set(folders)) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path / "seeds" / "0"}


def test_the_oracle_needs_something_to_choose() -> None:
    with pytest.raises(UsageError, match="--oracle chooses among checks"):
        replace(ASKED, oracle=True)


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_are_named_once(seeds: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="name each one once"):
        replace(ASKED, seeds=seeds)


def test_a_model_for_the_classes_of_a_corpus_follows_from_its_seed() -> None:
    labels = ("bored", "glad", "sad")
    models = [build(ASKED.architecture, labels, ["a b"], seed).model for seed in (1, 1, 2)]
    assert models[0].labels == labels
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_the_order_of_a_family_stays_where_the_corpus_has_its_classes() -> None:
    found = build(Architecture("mmer"), ("neutral", "happy", "sad", "angry"), ["a b"], 0)
    assert found.model.labels == ("happy", "angry", "neutral", "sad")
    assert found.tokenizer is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audio_classification",), "adapts checkpoints of others"),
        (("mmer", "huge"), "mmer has no size 'huge'; sizes: tiny"),
        (("late_fusion", "tiny", "tiny.en"), "late_fusion does not stand on a pretrained encoder: leave --encoder out"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Architecture(*arguments)
