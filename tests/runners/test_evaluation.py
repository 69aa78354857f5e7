"""Evaluations as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.errors import UsageError
from mmer_ray.lake.annotations import annotate
from mmer_ray.lake.store import Lake
from mmer_ray.records import Clip, Emotion
from mmer_ray.runners import evaluation, model_predictions
from mmer_ray.runners.evaluation import NO_WORD_TIMES, Wanted
from mmer_ray.runners.origin import NOT_KNOWN, TRAINED_ON_IT
from mmer_ray.runners.run_evaluation import evaluate_folds, run_predictions
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.evaluation.baselines import majority
from mmer_ray.training.folds import protocol
from mmer_ray.training.predictions_file import write_predictions
from mmer_ray.training.run import RunFolder
from tests.lake.two_models import A, two_models_lake

LABELS = ("angry", "sad")
SPEAKERS = "ABCDEF"


class LoudnessScorer:
    """Who is loud is angry; without words, everybody is sad; a very short clip is skipped."""

    scorer = "loudness-1"
    reads_dialogue = False
    reads_text = True

    def __init__(self) -> None:
        self.asked: list[Clip] = []

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        self.asked += clips
        return [self._judge(clip) for clip in clips]

    def _judge(self, clip: Clip) -> Emotion:
        if len(clip.samples) < 1_000:
            return Emotion(self.scorer, None, skip_reason="too_short")
        angry = 0.8 if np.abs(clip.samples).max() > 0.3 and clip.text else 0.2
        return Emotion(self.scorer, "angry", {"angry": angry, "sad": 1 - angry}, valence=0.5)


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> LoudnessScorer:
    made = LoudnessScorer()
    monkeypatch.setattr(model_predictions, "load_scorer", lambda options: made)
    monkeypatch.setattr(model_predictions, "reads_text", lambda model: made.reads_text)
    return made


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six speakers, four utterances each: two loud and angry, two soft and sad; of A one more, too short."""
    lines = ["path,id,speaker,label,text,dialogue"]
    for speaker in SPEAKERS:
        for index in range(4):
            name = f"{speaker}{index}"
            tone = (0.8 if index % 2 else 0.1) * np.sin(np.arange(4_000) / 5)
            soundfile.write(tmp_path / f"{name}.wav", tone, 16_000)
            lines.append(f"{name}.wav,{name},{speaker},{LABELS[1 - index % 2]},line {index},call {speaker}")
    soundfile.write(tmp_path / "short.wav", np.zeros(100), 16_000)
    lines.append("short.wav,short,A,sad,hm,call A")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def silent(line: str) -> None:
    """Nobody listens."""


def test_a_model_is_asked_as_scoring_asks_it_and_what_it_skips_is_counted(
    manifest: Path, scorer: LoudnessScorer
) -> None:
    found = evaluation.evaluate_model("m", Wanted(manifest), silent)
    assert found.evaluation.metrics["ua"].value == 1.0
    assert (found.evaluation.system, found.evaluation.num_utterances) == ("loudness-1", 24)
    assert found.evaluation.num_left_out == {"the model skips it: too_short": 1}
    assert found.evaluation.text.source == "reference"
    assert NOT_KNOWN in found.evaluation.notes
    # Dialogues stand together, each with a number of its own.
    numbers = [clip.dialogue for clip in scorer.asked]
    assert numbers == sorted(numbers, key=str)
    assert len(set(numbers)) == 6
    assert {clip.speaker for clip in scorer.asked} == set(SPEAKERS)


def test_words_can_be_withheld_or_be_those_of_a_recognizer(
    manifest: Path, scorer: LoudnessScorer, tmp_path: Path
) -> None:
    found = evaluation.evaluate_model("m", Wanted(manifest, text="none"), silent)
    assert (found.evaluation.text.source, found.evaluation.metrics["ua"].value) == ("none", 0.5)
    asr = tmp_path / "asr.csv"
    names = [f"{speaker}{index}" for speaker in SPEAKERS for index in range(4)] + ["short"]
    asr.write_text("utterance_id,text\n" + "".join(f"{name},line 1\n" for name in names), encoding="utf-8")
    found = evaluation.evaluate_model("m", Wanted(manifest, asr=asr, asr_system="made"), silent)
    assert (found.evaluation.text.source, found.evaluation.text.detail) == ("asr", "made")
    # Of 49 reference words, the number is wrong in 18 of 24 lines; of "hm" it is one word changed and one put in.
    assert found.evaluation.text.wer == pytest.approx((18 + 2) / 49)
    assert {clip.text for clip in scorer.asked[-25:]} == {"line 1"}


def test_a_model_that_reads_no_words_is_not_said_to_have_had_any(manifest: Path, scorer: LoudnessScorer) -> None:
    scorer.reads_text = False
    assert evaluation.evaluate_model("m", Wanted(manifest), silent).evaluation.text.source == "none"


def test_labels_that_the_model_does_not_know_are_refused_or_left_out_and_counted(
    manifest: Path, scorer: LoudnessScorer
) -> None:
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(",F,sad,", ",F,happy,"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"labels\.csv:\d+\) is labelled 'happy'"):
        evaluation.evaluate_model("m", Wanted(manifest), silent)
    found = evaluation.evaluate_model("m", Wanted(manifest, leave_out_unknown=True), silent)
    assert found.evaluation.num_left_out["labels that the model does not know"] == 2
    assert found.evaluation.num_utterances == 22


def test_baselines_are_compared_on_what_the_model_answered_and_what_cannot_be_had_is_said(
    manifest: Path, scorer: LoudnessScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_encoder(*_: object) -> None:
        raise UsageError("no encoder here")

    monkeypatch.setattr("mmer_ray.training.evaluation.encoder_vectors.vectors_of", no_encoder)
    said: list[str] = []
    wanted = Wanted(manifest, protocol="kfold3", with_baselines=True)
    found = evaluation.evaluate_model("m", wanted, said.append).evaluation
    names = [other.name for other in found.compared]
    assert names == ["majority", "transcript look-up", "TF-IDF", "acoustic SVM"]
    assert said == ["without the baseline frozen-encoder probe: no encoder here"]
    assert found.compared[0].differences["ua"].value == pytest.approx(0.5)
    # Every line is said by everybody with the same feeling: the words give it all away.
    assert found.compared[1].metrics["ua"].value == 1.0


@pytest.fixture
def run(manifest: Path, tmp_path: Path) -> RunFolder:
    """The folder of a training whose folds answer with the majority."""
    corpus, folder = read_corpus(manifest), tmp_path / "run"
    splits = protocol("kfold3", corpus)
    answers = majority(splits, corpus.labels)
    for test, development in zip(answers.predictions, answers.development, strict=True):
        fold = folder / "seeds" / "0" / test.fold
        write_predictions(fold / "test.parquet", replace(test, logits=2 * test.logits))
        write_predictions(fold / "development.parquet", development)
    table = {
        "schema": "mmer.run/1",
        "data": str(manifest),
        "kind": None,
        "classes": "four",
        "protocol": "kfold3",
        "oracle": True,
        "architecture": {"family": "mmer", "size": "tiny"},
        "corpus": {"name": corpus.name, "digest": corpus.digest},
    }
    (folder / "run.json").write_text(json.dumps(table), encoding="utf-8")
    return RunFolder(folder)


def test_a_run_is_evaluated_by_the_answers_of_its_folds(run: RunFolder) -> None:
    found = evaluation.evaluate_run(run, Wanted(against=(str(run.folder),)), silent).evaluation
    assert (found.system, found.protocol, found.oracle, found.num_utterances) == ("mmer tiny", "kfold3", True, 25)
    assert found.text.source == "reference"
    assert {one.fold for one in found.folds} == {"Fold 1", "Fold 2", "Fold 3"}
    assert found.calibration is not None
    assert set(found.calibration.temperatures) == {f"Fold {number}, seed 0" for number in (1, 2, 3)}
    assert {(group.by, group.name) for group in found.groups} >= {("transcript", "seen in training")}
    (same,) = found.compared
    assert same.differences["ua"].value == 0.0
    assert same.mcnemar[0].p == 1.0


def test_a_run_of_another_corpus_or_without_answers_is_refused(run: RunFolder, manifest: Path) -> None:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is not the corpus that"):
        evaluation.evaluate_run(run, Wanted(), silent)
    (run.folder / "seeds" / "0" / "Fold 2" / "test.parquet").unlink()
    with pytest.raises(UsageError, match="Fold 2 is not finished"):
        run_predictions(run)


def test_a_model_on_the_corpus_that_it_was_trained_on_is_told_so(
    run: RunFolder, manifest: Path, scorer: LoudnessScorer
) -> None:
    run.model.mkdir()
    found = evaluation.evaluate_model(str(run.model), Wanted(manifest), silent)
    assert TRAINED_ON_IT in found.evaluation.notes
    found = evaluation.evaluate_model("m", Wanted(manifest, against=(str(run.model),)), silent)
    assert found.evaluation.compared[0].note == f"loudness-1. {TRAINED_ON_IT}"


def test_a_model_that_skips_everything_is_refused_with_its_reasons(manifest: Path, scorer: LoudnessScorer) -> None:
    short = [one for one in read_corpus(manifest).utterances if one.utterance_id == "short"]
    with pytest.raises(
        UsageError, match=r"loudness-1 answers none of 1 utterances \(1: the model skips it: too_short\)"
    ):
        model_predictions.ask_model("m", short)


def test_what_has_to_be_known_of_a_corpus_is_said_of_a_run_on_it(run: RunFolder, manifest: Path) -> None:
    corpus = replace(read_corpus(manifest), notes=("2 of 3 speakers have no name",))
    assert "2 of 3 speakers have no name" in evaluate_folds(run, corpus, protocol("kfold3", corpus), {}).notes


@pytest.fixture(scope="module")
def scored_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the six utterances of its one speaker are labelled."""
    lake = two_models_lake(tmp_path_factory.mktemp("scored"))
    labels = lake.parent / "labels.csv"
    labels.write_text("recording,utterance_idx,rater,label\ncall.wav,0,ann,angry\ncall.wav,2,ann,neutral\n")
    annotate(Lake(lake), labels)
    return lake


def test_a_lake_is_evaluated_on_its_own_labels_at_any_address(
    scored_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "origin_of", lambda scorer, corpus: f"{scorer} on {corpus.name}")
    found = evaluation.evaluate_lake(f"file://{scored_lake}", Wanted(), silent, scorer=A).evaluation
    assert (found.num_utterances, found.metrics["ua"].value, found.text.wer) == (2, 1.0, None)
    assert f"{A} on lake" in found.notes
    assert any("1 of 1 speakers have no name" in note for note in found.notes)


def test_the_word_error_rate_of_a_lake_is_of_the_words_inside_the_labelled_stretches(
    scored_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # "sentence 0" lasts from 0 to 5 s, "sentence 1" from 10 s on: of the second, the first word lies inside.
    lines = [
        "path,start_s,end_s,speaker,label,text",
        "call.wav,0,5,A,angry,sentence 0",
        "call.wav,8,12.6,A,angry,sentence",
    ]
    gold = scored_lake.parent / "calls" / "gold.csv"
    gold.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wanted = Wanted(gold, leave_out_unknown=True)
    found = evaluation.evaluate_lake(str(scored_lake), wanted, silent, scorer=A).evaluation
    assert (found.num_utterances, found.text.wer) == (2, 0.0)
    assert NO_WORD_TIMES not in found.notes
    monkeypatch.setattr("mmer_ray.lake.scored.words_in", lambda *_: None)
    found = evaluation.evaluate_lake(str(scored_lake), wanted, silent, scorer=A).evaluation
    assert found.text.wer is None
    assert NO_WORD_TIMES in found.notes


def test_kept_predictions_can_be_compared_with_later(manifest: Path, scorer: LoudnessScorer, tmp_path: Path) -> None:
    evaluation.evaluate_model("m", Wanted(manifest), silent).keep_predictions(tmp_path / "kept")
    found = evaluation.evaluate_model("m", Wanted(manifest, against=(str(tmp_path / "kept"),)), silent)
    (same,) = found.evaluation.compared
    assert same.differences["ua"].value == 0.0
