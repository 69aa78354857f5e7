"""What an evaluated model was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmer_ray.runners.origin import NOT_KNOWN, TRAINED_ON_IT, origin_of
from mmer_ray.training.registry.promotion import promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.verdict import Gate
from mmer_ray.training.run import RunFolder
from mmer_ray.training.utterances import Corpus
from tests.training.registry.makers import run

OTHER = Corpus("other", (), (), "another digest")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with a final model and that of a fold."""
    made = RunFolder(tmp_path / "run")
    for model in (made.model, made.fold(0, "Fold 1") / "model", made.folder / "embedded"):
        model.mkdir(parents=True)
    table = {"schema": "mmer.run/1", "corpus": {"name": "mine", "digest": "d"}}
    (made.folder / "run.json").write_text(json.dumps(table), encoding="utf-8")
    return made


def test_a_registered_model_is_known_by_its_name_in_a_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMER_REGISTRY", str(tmp_path / "registry"))
    scorer = promote(Registry(), run(tmp_path / "run", 0.8), Gate(floor=0.5)).scorer
    data = Registry().models()[0].data
    assert origin_of(scorer, Corpus("renamed", (), (), data.digest)) == TRAINED_ON_IT
    assert origin_of(scorer, OTHER) == f"The model was trained on {data.corpus}."
    assert origin_of("mmer-12345678", OTHER) == NOT_KNOWN


def test_a_model_in_a_run_was_trained_on_its_corpus(folder: RunFolder) -> None:
    trained_on = Corpus("mine", (), (), "d")
    for model in (folder.model, folder.fold(0, "Fold 1") / "model"):
        assert origin_of("s", trained_on, str(model)) == TRAINED_ON_IT
        assert origin_of("s", OTHER, str(model)) == "The model was trained on mine."


def test_a_name_said_inside_a_run_is_no_model_of_it(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.folder)
    for name in ("embedded", "absent"):
        assert origin_of("s", Corpus("mine", (), (), "d"), name) == NOT_KNOWN
