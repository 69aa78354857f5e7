"""The member over a small random model: what must hold whatever the weights are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.errors import ProfileError
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.interface import Chunk, Recognizer, Transcript
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.recognizers.whisper import parts, recognizer
from mmer_ray.recognizers.whisper.network import Encoded, Network
from mmer_ray.recognizers.whisper.parts import FEW_WORDS, num_letters
from mmer_ray.recognizers.whisper.recognizer import WhisperRecognizer
from mmer_ray.records import SAMPLE_RATE_HZ
from tests.recognizers.aligner_maker import make_aligner
from tests.recognizers.whisper.makers import LANGUAGES, make_whisper, voice

ASKED = [voice(101, 30), voice(102, 24), voice(103, 3), voice(104, 0.4)]


def loaded(folder: Path, **options: object) -> Recognizer:
    return load_recognizer(TranscribeOptions(model=f"whisper:{folder}", **options))


def alone(recognizer: Recognizer, chunks: Sequence[Chunk]) -> list[Transcript]:
    return [answer for chunk in chunks for answer in recognizer.transcribe([chunk])]


@pytest.fixture(scope="module")
def answers(whisper: WhisperRecognizer) -> list[Transcript]:
    """What each of the chunks reads like alone."""
    return alone(whisper, ASKED)


def test_a_chunk_reads_exactly_the_same_alone_and_among_fifty_others(
    whisper: WhisperRecognizer, answers: list[Transcript]
) -> None:
    company = [voice(seed, 0.5 + seed % 30) for seed in range(50)]
    mixed = [*company[:17], *ASKED[:2], *company[17:40], *ASKED[2:], *company[40:]]
    together = whisper.transcribe(mixed)
    found = [together[17], together[18], together[42], together[43]]
    # The test shows nothing where these are not there.
    assert sum(len(one.words) for one in answers) > 20
    assert any(one.dropped for one in answers)
    assert {one.fallback_reason is None for one in together} == {True, False}
    assert len({one.language for one in together}) > 1
    assert found == answers


@pytest.mark.parametrize(
    "poison",
    [
        np.empty(0, dtype=np.int16),
        np.zeros(30 * SAMPLE_RATE_HZ, dtype=np.int16),
        np.tile(np.array([-32_768, 32_767], dtype=np.int16), 15 * SAMPLE_RATE_HZ),
        (20_000 * np.sin(np.arange(8 * SAMPLE_RATE_HZ) / 2.5)).astype(np.int16),
        np.ones(1, dtype=np.int16),
    ],
    ids=["nothing", "silence", "full scale", "tone", "one sample"],
)
def test_what_is_no_speech_changes_nobody_elses_answer(
    whisper: WhisperRecognizer, answers: list[Transcript], poison: np.ndarray
) -> None:
    together = whisper.transcribe([Chunk(poison), ASKED[0], Chunk(poison), ASKED[1], *ASKED[2:], Chunk(poison)])
    assert [together[1], together[3], together[4], together[5]] == answers


def test_a_chunk_that_is_shorter_than_a_frame_has_no_words_and_no_language(whisper: WhisperRecognizer) -> None:
    assert whisper.transcribe([Chunk(np.zeros(100, dtype=np.int16))]) == [Transcript()]
    assert whisper.transcribe([]) == []


def test_words_are_in_order_apart_and_inside_the_chunk_each_with_a_probability(
    whisper: WhisperRecognizer,
) -> None:
    chunks = [voice(seed, 10 + seed) for seed in range(20)]
    words_of = [one.words for one in whisper.transcribe(chunks)]
    assert sum(map(len, words_of)) > 50
    for chunk, words in zip(chunks, words_of, strict=True):
        ends_s = [0.0, *(word.end_s for word in words)]
        for before_s, word in zip(ends_s, words, strict=False):
            assert before_s <= word.start_s <= word.end_s <= len(chunk.samples) / SAMPLE_RATE_HZ
            assert 0 <= word.p <= 1
            assert word.word == word.word.strip() != ""


def test_batches_of_any_size_give_the_same_answers(whisper_folder: Path, answers: list[Transcript]) -> None:
    assert loaded(whisper_folder, batch_s=1).transcribe(ASKED) == answers


def test_the_language_of_each_chunk_is_identified_with_its_probability(whisper: WhisperRecognizer) -> None:
    found = whisper.transcribe([voice(seed, 4) for seed in range(12)])
    assert {one.language for one in found} <= set(LANGUAGES)
    assert len({one.language for one in found}) > 1
    assert all(one.language_p is not None and 1 / 3 <= one.language_p <= 1 for one in found)


def grouped(chunks: Sequence[Chunk], group: int) -> list[Chunk]:
    return [chunk._replace(group=group) for chunk in chunks]


def test_chunks_of_one_group_share_a_language_that_does_not_depend_on_other_groups_or_batches(
    whisper: WhisperRecognizer, whisper_folder: Path
) -> None:
    calls = [grouped([voice(10 * call + part, 2) for part in range(5)], call) for call in range(4)]
    apart = [whisper.transcribe(call) for call in calls]
    assert (
        len({one.language for call in calls for one in whisper.transcribe([c._replace(group=None) for c in call])}) > 1
    )
    for answers in apart:
        assert len({(one.language, one.language_p) for one in answers}) == 1
    together = [one for answers in apart for one in answers]
    for batch_s in (1, 90, 600):
        assert loaded(whisper_folder, batch_s=batch_s).transcribe([one for call in calls for one in call]) == together


def test_a_group_leaves_a_language_that_is_known_beforehand_as_it_is(whisper: WhisperRecognizer) -> None:
    call = grouped([voice(seed, 2) for seed in range(3)], 0)
    found = whisper.transcribe([call[0], call[1]._replace(language="fr"), call[2]])
    assert (found[1].language, found[1].language_p) == ("fr", None)
    assert [found[0], found[2]] == whisper.transcribe([call[0], call[2]])


def test_the_encoder_runs_once_for_each_chunk(whisper_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    class Counted(Network):
        def encode(self, features_BMF: np.ndarray) -> Encoded:
            encoded.append(len(features_BMF))
            return super().encode(features_BMF)

    monkeypatch.setattr(recognizer, "Network", Counted)
    chunks = [*grouped(ASKED, 0), *grouped([voice(seed, 5) for seed in range(7)], 1)]
    assert any(one.fallback_reason for one in loaded(whisper_folder, batch_s=120).transcribe(chunks))
    assert encoded == [4, 4, 3]


def test_stretches_of_which_little_was_read_are_read_one_by_one_and_alike_in_any_company(
    whisper: WhisperRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Random weights write what fits, some 224 letters, of a sound of any length: about half of these have fewer.
    monkeypatch.setattr(parts, "MIN_LETTERS_PER_S", 7.7)
    chunks = grouped([spliced(voice(seed, 29), 14) for seed in range(12)], 0)
    whole = whisper.transcribe([chunk._replace(splices=()) for chunk in chunks])
    found = whisper.transcribe(chunks)
    again = [index for index, one in enumerate(found) if one.fallback_reason == FEW_WORDS]
    assert 0 < len(again) < len(chunks)
    for index, (one, first) in enumerate(zip(found, whole, strict=True)):
        assert (one.language, one.language_p) == (first.language, first.language_p)
        assert num_letters([one]) > num_letters([first]) if index in again else one == first
    assert whisper.transcribe([*grouped(ASKED, 1), *chunks])[len(ASKED) :] == found


def spliced(chunk: Chunk, *seconds: float) -> Chunk:
    """The chunk, as if put together at these places."""
    return chunk._replace(splices=tuple(round(one * SAMPLE_RATE_HZ) for one in seconds))


def test_only_wanted_languages_are_identified_and_one_alone_is_not_identified_at_all(whisper_folder: Path) -> None:
    chunks = [voice(seed, 4) for seed in range(12)]
    two = loaded(whisper_folder, languages=("en", "de")).transcribe(chunks)
    assert {one.language for one in two} <= {"en", "de"}
    assert all(one.language_p is not None and 0.5 <= one.language_p <= 1 for one in two)
    assert {(one.language, one.language_p) for one in loaded(whisper_folder, languages=("de",)).transcribe(chunks)} == {
        ("de", None)
    }


def test_a_language_that_is_known_beforehand_stays(whisper: WhisperRecognizer) -> None:
    chunks = [voice(1, 4)._replace(language=language) for language in LANGUAGES]
    assert [(one.language, one.language_p) for one in whisper.transcribe(chunks)] == [(one, None) for one in LANGUAGES]


def test_a_language_that_the_model_does_not_read_is_refused_by_name(whisper_folder: Path) -> None:
    with pytest.raises(ProfileError, match=r"transcribe\.languages.*'xx'.*it reads de, en, fr"):
        loaded(whisper_folder, languages=("en", "xx"))


def test_a_model_of_english_alone_says_so_and_refuses_others(tmp_path: Path) -> None:
    folder = make_whisper(tmp_path, multilingual=False)
    (answer,) = loaded(folder).transcribe([voice(1, 4)])
    assert (answer.language, answer.language_p) == ("en", None)
    with pytest.raises(ProfileError, match="does not read 'de'; it reads en"):
        loaded(folder, languages=("de",))


def test_keywords_change_what_is_read_and_their_number_changes_no_rule(
    whisper_folder: Path, answers: list[Transcript]
) -> None:
    told = loaded(whisper_folder, keywords=("abba", "cafe")).transcribe(ASKED)
    assert [one.words for one in told] != [one.words for one in answers]
    # More than the decoder has room for.
    assert len(loaded(whisper_folder, keywords=("abcdefgh",) * 200).transcribe(ASKED)) == len(ASKED)


def test_a_wider_beam_finds_a_text_that_is_no_less_probable(whisper_folder: Path) -> None:
    chunks = [voice(seed, 8) for seed in range(4)]
    greedy, wide = (loaded(whisper_folder, beam_width=width).transcribe(chunks) for width in (1, 8))
    assert np.mean([one.logprob for one in wide]) >= np.mean([one.logprob for one in greedy])


def test_an_aligner_gives_the_times_of_its_languages_words_and_changes_nothing_else(
    whisper: WhisperRecognizer, whisper_folder: Path, tmp_path: Path
) -> None:
    chunks = [*ASKED, *(voice(seed, 10 + seed) for seed in range(20))]
    before = whisper.transcribe(chunks)
    timed, *others = sorted({one.language for one in before if one.words}, key=str)
    aligned = loaded(whisper_folder, batch_s=120, align_models={str(timed): str(make_aligner(tmp_path))})
    after = aligned.transcribe(chunks)
    untimed = [replace(one, words=()) for one in before]
    assert [replace(one, words=()) for one in after] == untimed
    assert [[word[0] for word in one.words] for one in after] == [[word[0] for word in one.words] for one in before]
    assert others
    for one, other in zip(before, after, strict=True):
        assert (one.words != other.words) == (one.language == timed and bool(one.words))


def test_with_an_aligner_too_a_chunk_reads_exactly_the_same_alone_and_in_company(
    whisper_folder: Path, tmp_path: Path
) -> None:
    aligners = {language: str(make_aligner(tmp_path / language)) for language in LANGUAGES}
    aligned = loaded(whisper_folder, batch_s=120, align_models=aligners)
    chunks = [*ASKED, *(voice(seed, 0.5 + 3 * seed) for seed in range(9))]
    together = aligned.transcribe(chunks)
    assert sum(len(one.words) for one in together) > 20
    assert together == alone(aligned, chunks)


def test_an_aligner_for_a_language_that_the_model_does_not_read_is_refused(
    whisper_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ProfileError, match=r"align_models.*does not read 'pl'; it reads de, en, fr"):
        loaded(whisper_folder, align_models={"pl": str(make_aligner(tmp_path))})


def test_it_leaves_the_threads_of_pytorch_as_they_were(whisper_folder: Path) -> None:
    before = torch.get_num_threads()
    loaded(whisper_folder).transcribe([voice(1, 2)])
    assert torch.get_num_threads() == before


def test_a_transcript_of_the_second_search_says_why(whisper: WhisperRecognizer, answers: list[Transcript]) -> None:
    again = [one for one in whisper.transcribe([voice(seed, 9) for seed in range(12)]) if one.fallback_reason]
    assert again
    assert {one.fallback_reason for one in again} <= {"compression_ratio", "log_probability"}
    assert replace(again[0], fallback_reason=None) != again[0]
