"""The report: Markdown, JSON and pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.report import report_of, write_report
from mmer_ray.training.evaluation.result import Evaluation, TextCondition, read_evaluation
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Corpus
from tests.training.evaluation.makers import LABELS, random_predictions, utterance

CORPUS = Corpus("made | <b>", (), LABELS, "d1")
TEXT = TextCondition("asr", "whisper base", 0.25)


def found(*, oracle: bool = False) -> Evaluation:
    ours = random_predictions(4, 20)
    told = tuple(
        replace(one, sex="female" if index % 2 else "male", shares={str(one.label): 0.5, "sad": 0.5})
        for index, one in enumerate(ours.utterances)
    )
    ours = replace(ours, utterances=told, fold="fold 1")
    conditions = Conditions("kfold", TEXT, oracle=oracle, num_left_out={"no label": 3})
    other = OtherSystem([random_predictions(4, 20, skill=0.4)], note="an older one")
    return evaluate([ours, replace(ours, seed=1)], "mmer small", CORPUS, conditions, others={"old": other})


def test_the_report_says_every_figure_by_name_with_its_interval() -> None:
    evaluation = found()
    text = report_of(evaluation)
    ua = evaluation.metrics["ua"]
    assert f"| UA | {ua.value:.3f} [{ua.low:.3f}, {ua.high:.3f}] |" in text
    assert "- UA: macro recall" in text
    for name in ("WA", "macro-F1", "ECE", "NLL", "Brier score", "JSD", "KLD"):
        assert f"| {name} |" in text
        assert f"- {name}: " in text
    assert "80 utterances of 4 speakers, kfold, 1 fold(s), seed(s) 0, 1" in text
    assert "recognized words (ASR), whisper base, word error rate 0.250" in text
    assert "Left out: 3 utterances, no label." in text
    assert "4 speakers: intervals of fewer than 20" in text
    assert "| sex | female | 40 | 4 |" in text
    assert re.search(r"\| old \| 0\.\d{3} \[.*\] \| \+0\.\d{3} \[.*\], p < 0\.001 \|", text)
    assert "old: an older one" in text
    assert "There is no development data" in text


def test_names_of_a_corpus_cannot_break_the_report() -> None:
    assert report_of(found()).startswith("# mmer small on made \\| &lt;b>\n")


def test_figures_chosen_on_test_data_are_stamped_above_all_others() -> None:
    stamp = "ORACLE: chosen on the test data"
    text = report_of(found(oracle=True))
    assert text.index(stamp) < text.index("## Figures")
    assert stamp not in report_of(found())


def test_pictures_are_written_for_light_and_dark_pages_and_are_in_the_report(tmp_path: Path) -> None:
    evaluation = found()
    report = write_report(tmp_path / "run", evaluation)
    names = {f"{name}-{theme}.png" for name in ("confusion", "reliability", "recall") for theme in ("light", "dark")}
    assert {path.name for path in (tmp_path / "run" / "pictures").iterdir()} == names
    text = report.read_text(encoding="utf-8")
    assert all(f"pictures/{name}" in text for name in names)
    assert read_evaluation(tmp_path / "run" / "evaluation.json") == evaluation
    corners = {theme: imread(tmp_path / "run" / "pictures" / f"recall-{theme}.png")[0, 0, :3].mean() for theme in
               ("light", "dark")}  # fmt: skip
    assert corners["light"] > 0.9
    assert corners["dark"] < 0.1


def test_dimensions_alone_have_a_report_without_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    told = tuple(utterance(index, label=None, dimensions=tuple(rng.uniform(-1, 1, 3))) for index in range(20))
    truths = np.array([one.dimensions for one in told], np.float32)
    answers = Predictions(told, LABELS, np.zeros((20, 4), np.float32), 0.5 * truths)
    text = write_report(tmp_path, evaluate([answers], "s", CORPUS)).read_text(encoding="utf-8")
    assert re.search(r"\| CCC valence \| 0\.\d{3} \|", text)
    assert "## Classes" not in text
    assert not list((tmp_path / "pictures").iterdir())


@pytest.mark.parametrize("num_classes", [2, 9])
def test_any_number_of_classes_can_be_drawn(tmp_path: Path, num_classes: int) -> None:
    labels = tuple(f"class number {index}" for index in range(num_classes))
    told = tuple(utterance(index, labels[index % num_classes]) for index in range(2 * num_classes))
    logits = np.eye(num_classes, dtype=np.float32)[[index % num_classes for index in range(2 * num_classes)]]
    write_report(tmp_path, evaluate([Predictions(told, labels, logits)], "s", Corpus("c", (), labels, "")))
    assert len(list((tmp_path / "pictures").iterdir())) == 6
