"""The recipe of the embedded `mmer`, at toy size on noise."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import PreTrainedTokenizerBase

from mmer_ray.demo.grammar import FEELINGS, Split
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.config import SIZES
from mmer_ray.models.ctc.model import CtcModel
from mmer_ray.models.families import load_emotion_model
from mmer_ray.training import embedded_mmer
from mmer_ray.training.embedded_mmer import MmerRecipe, train_mmer
from mmer_ray.training.embedded_mmer_data import EDGE_S, LONGEST_S, SHORTEST_S, Examples
from mmer_ray.training.embedded_mmer_report import report
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.schedule import WARM_UP_SHARE
from mmer_ray.training.synthetic import MANIFEST_NAME, Utterance, read_manifest

RECIPE = MmerRecipe(
    minutes=0, num_threads=1, num_audio_layers=1, inner_size=64, vocab_size=300, batch_size=4, batches_per_chunk=2
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen utterances of noise for training, eight for validation."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "speech").mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for index in range(24):
        duration_s = float(rng.uniform(0.6, 2.0))
        path = f"speech/{index:05d}.wav"
        soundfile.write(folder / path, rng.normal(0, 0.1, round(duration_s * 16_000)), 16_000, subtype="PCM_16")
        split: Split = "train" if index < 16 else "validation"
        feeling = FEELINGS[index % 4]
        lines.append(
            Utterance(path, f"words of {feeling}", feeling, f"v{index % 8}", split, index % 2 == 0, duration_s)
        )
    (folder / MANIFEST_NAME).write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def ctc() -> CtcModel:
    torch.manual_seed(0)
    return CtcModel(SIZES["test"]).eval()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([f"words of {feeling}" for feeling in FEELINGS], RECIPE.vocab_size)


def test_the_backbone_and_the_ctc_head_come_from_the_transcriber(
    ctc: CtcModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = embedded_mmer.build(ctc, tokenizer, RECIPE)
    theirs = ctc.backbone.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.audio.state_dict().items())
    assert torch.equal(model.ctc_head.weight, ctc.head.weight)
    assert model.labels == FEELINGS


def test_examples_are_the_same_in_every_run_and_balanced(cache: Path) -> None:
    utterances = read_manifest(cache, "train")
    first, second = (Examples(cache, utterances, seed=3) for _ in range(2))
    drawn = [first.draw(index) for index in range(32)]
    again = second.draw(17)
    assert np.array_equal(again.clean.samples, drawn[17].clean.samples)
    assert again.text == drawn[17].text
    assert [sum(example.label == label for example in drawn) for label in range(4)] == [8] * 4
    lengths_s = [len(example.clean.samples) / 16_000 for example in drawn]
    assert min(lengths_s) >= min(0.6, SHORTEST_S)
    assert max(lengths_s) <= LONGEST_S + 2 * EDGE_S[1]
    assert any(example.text.count("words") == 2 for example in drawn)


def test_steps_on_one_batch_lower_every_term_of_the_loss_together(
    cache: Path, ctc: CtcModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(0)
    model = embedded_mmer.build(ctc, tokenizer, RECIPE)
    examples = Examples(cache, read_manifest(cache, "train"), seed=3)
    batch = embedded_mmer.collate_examples([examples.draw(index) for index in range(4)], tokenizer)
    recipe = replace(RECIPE.for_learner(), peak_rate=2e-3, precision="float32")
    learner = Learner(model, embedded_mmer.terms_of, recipe, backward_of)
    before = learner.step([batch], 1.0)
    for _ in range(12):
        after = learner.step([batch], WARM_UP_SHARE)
    assert after["loss"] < 0.7 * before["loss"]
    assert {"category", "ctc", "supervised", "augmentation", "right"} <= after.keys()


def test_a_finished_training_leaves_a_checkpoint_that_can_be_measured(
    cache: Path, ctc: CtcModel, tmp_path: Path
) -> None:
    ctc_checkpoint.save(ctc, tmp_path / "ctc")
    lines: list[str] = []
    train_mmer(cache, tmp_path / "ctc", tmp_path / "mmer", RECIPE, lines.append)
    assert "ua_free_no_text" in lines[-1]
    figures = report(load_emotion_model(tmp_path / "mmer"), cache)
    assert set(figures) == {f"ua_{kind}_{text}_text" for kind in ("all", "worded", "free") for text in ("true", "no")}
    assert all(0 <= value <= 1 for value in figures.values())


def test_an_interrupted_training_goes_on_where_it_was(cache: Path, ctc: CtcModel, tmp_path: Path) -> None:
    ctc_checkpoint.save(ctc, tmp_path / "ctc")
    states = cache / embedded_mmer.STATES_NAME
    shutil.rmtree(states, ignore_errors=True)
    gates = []
    for name, seed in (("first", 7), ("resumed", 8), ("fresh", 8)):
        if name == "fresh":
            shutil.rmtree(states)
        train_mmer(cache, tmp_path / "ctc", tmp_path / name, replace(RECIPE, seed=seed), lambda _line: None)
        gates.append(load_emotion_model(tmp_path / name).model.get_parameter("gate.weight"))
    first, resumed, fresh = gates
    assert torch.equal(first, resumed)
    assert not torch.equal(first, fresh)
