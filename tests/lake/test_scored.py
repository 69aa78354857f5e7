"""A scored lake held against gold labels: which answer belongs to which stretch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.drift import drift_between
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.scored import NO_ANSWER, NOT_IN_LAKE, ScoredGold, _overlapping, answers_about
from mmer_ray.lake.store import Lake
from mmer_ray.lake.stretch_words import Stretch, words_in
from mmer_ray.training.utterances import Corpus, Sound, Utterance
from tests.lake.makers import KEYS, audio_file, listing, newer
from tests.lake.removals import write
from tests.lake.two_models import FIRST, A, B, two_models_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In `call.wav`, utterance n lasts from 10 n to 10 n + 5 seconds."""
    return two_models_lake(tmp_path_factory.mktemp("models"))


def gold(lake: Path, *stretches: tuple[int, int | None], name: str = "call.wav") -> Corpus:
    path = lake.parent / "calls" / name
    told = tuple(
        Utterance(f"g{index}", Sound(path, start_ms, end_ms), "A", "angry", "what was said")
        for index, (start_ms, end_ms) in enumerate(stretches)
    )
    return Corpus("gold", told, ("angry", "neutral"), "d")


def answered(lake: Path, corpus: Corpus, scorer: str | None = A) -> ScoredGold:
    with open_lake(lake) as reader:
        return answers_about(reader, corpus, scorer, "calls")


def test_a_stretch_gets_the_answers_it_overlaps_weighted_by_their_time(lake: Path) -> None:
    # All of utterance 0; the last second of 1 and the first four of 2; everything.
    found = answered(lake, gold(lake, (0, 5_000), (14_000, 24_000), (0, None)))
    assert found.predictions.labels == ("angry", "neutral")
    angry = np.exp(found.predictions.logits[:, 0])
    expected = [FIRST[0][1], (FIRST[1][1] + 4 * FIRST[2][1]) / 5, np.mean([p for _, p in FIRST])]
    np.testing.assert_allclose(angry, expected, atol=1e-3)
    # The words are evenly spread: of each utterance, those whose middle lies inside.
    assert found.texts == {"g0": "sentence 0", "g1": "sentence 2", "g2": " ".join(f"sentence {at}" for at in range(6))}
    assert found.predictions.utterances[1].text == "what was said"
    assert found.predictions.dimensions is not None
    np.testing.assert_allclose(found.predictions.dimensions[:, 0], 0.25)
    assert np.isnan(found.predictions.dimensions[:, 1]).all()


def test_half_of_a_stretch_must_be_covered_by_answered_utterances(lake: Path) -> None:
    # Utterance 0 covers 10 ms of the first, 4.8 of 9.8 seconds of the second, half of the third.
    found = answered(lake, gold(lake, (4_990, 10_000), (200, 10_000), (0, 10_000)))
    assert [one.utterance_id for one in found.predictions.utterances] == ["g2"]
    assert found.num_left_out == {NO_ANSWER: 2}


def test_crosstalk_does_not_count_twice_as_covered() -> None:
    rows = [{"channel": 0, "start_ms": start_ms, "end_ms": 3_000} for start_ms in (0, 100)]
    assert _overlapping(Sound(Path("a.wav"), 0, 6_000), rows, 1) == [(rows[0], 3_000), (rows[1], 2_900)]
    assert _overlapping(Sound(Path("a.wav"), 0, 6_100), rows, 1) == []


def test_words_without_times_give_no_words_at_all() -> None:
    class Words:
        def rows(self, query: str, parameters: dict[str, object]) -> list[dict[str, object]]:
            place = {"recording_id": "r", "heard_key": "h", "channel": 0, "start_ms": 0, "end_ms": 5_000}
            timed, untimed = ({"word": "yes", "middle_ms": middle_ms} for middle_ms in (500.0, None))
            later = {"start_ms": 5_000, "end_ms": 9_000}
            return [place | timed, place | later | untimed]

    def asked(end_ms: int) -> dict[str, str] | None:
        one = Utterance("u", Sound(Path("a.wav"), 0, end_ms), "A")
        return words_in(cast(LakeReader, Words()), [Stretch(one, "r", "h", None)], None)

    assert asked(5_000) == {"u": "yes"}
    assert asked(5_001) is None


def test_where_corpora_have_answers_to_other_hearings_one_must_be_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    for corpus, keys in (("calls", KEYS), ("copies", newer("transcribe"))):
        audio_file(tmp_path / corpus, "call.wav", b"the same bytes")
        write(lake, listing(tmp_path / corpus, corpus), keys)
    corpus = gold(tmp_path / "lake", (0, None))
    with open_lake(lake.address) as reader:
        with pytest.raises(
            UsageError, match=r"answers to 2 hearings, of the corpora calls, copies: name one by --corpus"
        ):
            answers_about(reader, corpus)
        found = answers_about(reader, corpus, corpus="calls")
        shown = reader.rows("SELECT * FROM emotions WHERE corpus = 'calls' ORDER BY utterance_idx", {})
    assert len({row["heard_key"] for row in shown}) == 1
    angry = np.exp(found.predictions.logits[0, found.predictions.labels.index("angry")])
    assert angry == pytest.approx(np.mean([row["p_angry"] for row in shown]), abs=1e-4)
    # The number has no times: it lies where the word before it does.
    assert found.texts == {"g0": " ".join(["thanks 10 refund"] * len(shown))}


def test_what_has_no_answer_is_counted_by_its_reason(lake: Path) -> None:
    inside, between = (0, 5_000), (6_000, 9_000)
    elsewhere = gold(lake, (0, 100), name="other.wav").utterances[0]
    corpus = gold(lake, inside, between)
    both = Corpus("gold", (*corpus.utterances, Utterance("x", elsewhere.sound, "A", "angry")), corpus.labels, "d")
    assert answered(lake, both).num_left_out == {NO_ANSWER: 1, NOT_IN_LAKE: 1}
    with pytest.raises(UsageError, match=f"has no answer about any utterance of gold .*1: {NO_ANSWER}"):
        answered(lake, gold(lake, between))


def test_a_model_must_be_named_where_several_have_answers(lake: Path) -> None:
    with pytest.raises(UsageError, match=f"2 emotion models .*name one of {A}, {B}"):
        answered(lake, gold(lake, (0, 5_000)), scorer=None)
    with pytest.raises(UsageError, match="'nobody' has no answers"):
        answered(lake, gold(lake, (0, 5_000)), scorer="nobody")


def test_drift_between_runs_is_of_one_model_and_of_runs_that_are_there(lake: Path) -> None:
    with open_lake(lake) as reader:
        runs = "SELECT DISTINCT run_id FROM emotions JOIN commits USING (commit_id) WHERE emotions.scorer = $scorer"
        (first,), (second,) = ([row["run_id"] for row in reader.rows(runs, {"scorer": one})] for one in (A, B))
        same = drift_between(reader, first, first)
        assert [(one.quantity, one.num_before, one.psi) for one in same] == [
            *(("label", 6, 0.0), ("confidence", 6, 0.0), ("valence", 6, 0.0)),
        ]
        assert {one.verdict for one in same} == {"too few"}
        with pytest.raises(UsageError, match=f"no emotion model answered in both runs .*{A}; .*{B}.*mmer lake compare"):
            drift_between(reader, first, second)
        with pytest.raises(UsageError, match="'never' has no visible answers"):
            drift_between(reader, first, "never")
