"""IEMOCAP: a release of the right size, made, and the table of the published MMER."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.folds import protocol
from mmer_ray.training.leaks import check
from mmer_ray.training.utterances import Corpus
from tests.training.corpora.makers import iemocap_turns, make_iemocap, write_csv, write_sounds


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_iemocap(tmp_path_factory.mktemp("iemocap") / "IEMOCAP_full_release", iemocap_turns())


@pytest.fixture(scope="module")
def corpus(release: Path) -> Corpus:
    return read_corpus(release.parent)


def test_the_release_is_known_by_its_folders_and_read_as_the_5531_set(corpus: Corpus) -> None:
    assert (corpus.name, len(corpus.utterances)) == ("IEMOCAP", 5531)
    assert Counter(one.label for one in corpus.utterances) == {
        "neutral": 1708,
        "happy": 1636,
        "sad": 1084,
        "angry": 1103,
    }
    assert Counter(one.session for one in corpus.utterances)["Session 4"] == 1031
    assert corpus.left_out == {"label xxx: no majority": 5}


def test_a_turn_has_its_speaker_dialogue_style_dimensions_and_the_shares_of_its_raters(corpus: Corpus) -> None:
    turn = next(one for one in corpus.utterances if one.utterance_id.startswith("Ses02F_script01_1_M"))
    assert (turn.speaker, turn.sex, turn.style) == ("Ses02M", "male", "scripted")
    assert (turn.session, turn.dialogue) == ("Session 2", "Ses02F_script01_1")
    assert turn.dimensions == (-0.5, 0.25, 0.5)
    # One and a half votes for anger, half a one for a class that is none of the four; the actor's own does not count.
    assert turn.shares == {"neutral": 0, "happy": 0, "sad": 0, "angry": 1}
    assert turn.read_from.startswith("Ses02F_script01_1.txt:")


def test_what_was_said_without_words_stays_with_an_empty_text(corpus: Corpus) -> None:
    assert sum(one.text == "" for one in corpus.utterances) > 1000
    assert {one.text for one in corpus.utterances} >= {"", "I told you twice."}


def test_with_its_own_classes_excited_is_one_and_raters_count_for_all(release: Path) -> None:
    own = read_corpus(release, classes="own")
    assert Counter(one.label for one in own.utterances)["excited"] == 1041
    assert own.utterances[0].shares is not None
    assert (own.utterances[0].shares["angry"], own.utterances[0].shares["frustration"]) == (0.75, 0.25)


def test_sessions_are_left_out_in_turn_with_a_whole_session_for_development(corpus: Corpus) -> None:
    folds = protocol("loso5", corpus)
    assert [(fold.name, len(fold.test)) for fold in folds] == [
        ("Session 1", 1085), ("Session 2", 1023), ("Session 3", 1151), ("Session 4", 1031), ("Session 5", 1241),
    ]  # fmt: skip
    assert {one.session for one in folds[4].development} == {"Session 1"}
    assert len({one.session for one in folds[0].train}) == 3


def test_the_other_protocols_of_iemocap_part_speakers_as_they_say(corpus: Corpus) -> None:
    four = protocol("loso5-4train", corpus, seed=3)
    assert [len({one.speaker for one in fold.train}) for fold in four] == [7] * 5
    assert [len({one.speaker for one in fold.development}) for fold in four] == [1] * 5
    ten = protocol("loso10", corpus)
    assert [fold.name for fold in ten][:2] == ["Speaker Ses01F", "Speaker Ses01M"]
    assert {one.speaker for one in ten[0].development} == {"Ses01M"}
    (five,) = protocol("session5", corpus)
    assert [{one.session for one in part} for part in (five.test, five.development)] == [{"Session 5"}, {"Session 1"}]
    assert [len(fold.test) for fold in protocol("emobox-iemocap", corpus)] == [1085, 1023, 1151, 1031, 1241]
    for fold in (four[0], ten[0], five):
        check(fold)


def test_a_session_that_is_not_whole_is_refused_with_its_counts(tmp_path: Path) -> None:
    turns = iemocap_turns()
    sad = next(turn for turn in turns if turn[0].startswith("Ses03") and turn[1] == "sad")
    make_iemocap(tmp_path, [turn for turn in turns if turn != sad])
    with pytest.raises(UsageError, match=r"Session 3 has 1150 utterances, not 1151 \(sad 304, not 305\)"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("\tang\t[2.0000", "\tnan\t[2.0000", r"Ses01F_impro01.txt:3: the label is 'nan'"),
        ("[2.0000, 3.5000", "[nan, 3.5000", r"Ses01F_impro01.txt:3: the dimensions .* are no finite numbers"),
        ("\tang\t", " ang ", r"Ses01F_impro01.txt:3: expected \[START - END\]"),
    ],
)
def test_a_wrong_line_is_refused_by_file_and_line(good: str, bad: str, said: str, tmp_path: Path) -> None:
    make_iemocap(tmp_path, iemocap_turns()[:40])
    path = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(path.read_text(encoding="utf-8").replace(good, bad, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_corpus(tmp_path)


def test_ratings_beyond_the_scale_count_as_its_ends(tmp_path: Path) -> None:
    make_iemocap(tmp_path, iemocap_turns())
    path = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[2.0000, 3.5000", "[5.5000, 0.5000", 1), encoding="utf-8")
    (turn,) = [one for one in read_corpus(tmp_path).utterances if one.read_from == "Ses01F_impro01.txt:3"]
    assert turn.dimensions == (1.0, -1.0, 0.5)


def mmer_table(folder: Path, change: str = "", into: str = "") -> Path:
    """The table of the published MMER, sounds and an augmented copy of one beside it."""
    turns = [turn for turn in iemocap_turns() if turn[1] != "xxx"]
    lines = [f'{number},{name},"{text}",{code},NO,NO' for number, (name, code, text) in enumerate(turns)]
    lines[15] = lines[15].replace(change, into, 1) if change else lines[15]
    names = [name for name, _, _ in turns]
    write_sounds([*(folder / "iemocap" / f"{name}.wav" for name in names), folder / "iemocap_aug" / f"{names[0]}.wav"])
    return write_csv(folder / "iemocap.csv", [",FileName,Sentences,Label,text,AugmentedText", *lines])


def test_the_table_of_mmer_gives_the_same_utterances_as_the_release(corpus: Corpus, tmp_path: Path) -> None:
    table = read_corpus(mmer_table(tmp_path))
    by_name = {one.utterance_id: one for one in corpus.utterances}
    assert len(table.utterances) == 5531
    for one in table.utterances[::100]:
        other = by_name[one.utterance_id]
        facts = ("label", "text", "speaker", "dialogue", "session", "sex", "style")
        assert [getattr(one, fact) for fact in facts] == [getattr(other, fact) for fact in facts]
    assert table.utterances[0].sound.path.parent.name == "iemocap"


def test_a_label_that_is_not_a_number_is_refused_by_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"iemocap.csv:17: Label is missing \(nan\)"):
        read_corpus(mmer_table(tmp_path, ",ang,", ",nan,"))
