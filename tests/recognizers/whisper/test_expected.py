"""What a caller expects of the words, told with each chunk."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.interface import Recognizer
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.recognizers.whisper.recognizer import WhisperRecognizer
from mmer_ray.recognizers.whisper.tokens import MAX_PROMPT_TOKENS
from mmer_ray.records import Expected
from tests.recognizers.whisper.makers import voice

ASKED = [voice(101, 30), voice(102, 24), voice(103, 3)]
GERMAN = Expected(languages=("de",))
TWO = Expected(languages=("en", "fr"))
NAMES = Expected(keywords=("abba", "cafe"))
EARLIER = Expected(prompt="a bad cab faded")


def loaded(folder: Path, **options: object) -> Recognizer:
    return load_recognizer(TranscribeOptions(model=f"whisper:{folder}", **options))


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (GERMAN, {"languages": ("de",)}),
        (TWO, {"languages": ("en", "fr")}),
        (NAMES, {"keywords": NAMES.keywords}),
        (Expected(keywords=("cafe",)), {"keywords": ("cafe",)}),
    ],
)
def test_what_a_chunk_is_told_reads_as_if_the_profile_said_it(
    whisper: WhisperRecognizer, whisper_folder: Path, expected: Expected, options: dict[str, object]
) -> None:
    told = whisper.transcribe([chunk._replace(expected=expected) for chunk in ASKED])
    assert told == loaded(whisper_folder, **options).transcribe(ASKED)
    assert told != whisper.transcribe(ASKED)


def test_keywords_come_beside_those_of_the_profile_and_languages_in_their_place(whisper_folder: Path) -> None:
    (chunk,) = ASKED[:1]
    strict = loaded(whisper_folder, keywords=("abba",), languages=("en",))
    told = strict.transcribe([chunk._replace(expected=Expected(languages=("de",), keywords=("cafe",)))])
    assert told == loaded(whisper_folder, keywords=("abba", "cafe"), languages=("de",)).transcribe([chunk])


def test_earlier_text_changes_what_is_read_and_of_a_long_one_its_end_counts(whisper: WhisperRecognizer) -> None:
    def told(prompt: str) -> list[tuple[object, ...]]:
        return [
            one.words for one in whisper.transcribe([one._replace(expected=Expected(prompt=prompt)) for one in ASKED])
        ]

    assert told(EARLIER.prompt) != told("")
    end = " ".join("abcdefgh"[at % 8] for at in range(2 * MAX_PROMPT_TOKENS))
    assert told(f"h h h h {end}") == told(f"g g g g {end}")


def test_chunks_with_other_hints_in_one_batch_read_as_each_does_alone(whisper: WhisperRecognizer) -> None:
    hints = [Expected(), GERMAN, NAMES, EARLIER, TWO, Expected(("fr",), ("abba",), "a bad")]
    chunks = [
        chunk._replace(expected=expected, group=group) for group, expected in enumerate(hints) for chunk in ASKED[1:]
    ]
    groups = [[one for one in chunks if one.group == group] for group in range(len(hints))]
    alone = [answer for group in groups for answer in whisper.transcribe(group)]
    assert whisper.transcribe(chunks) == alone
    assert len({one.words for one in alone}) == len(hints)


def test_what_cannot_be_heeded_is_refused_by_the_name_of_its_field(whisper: WhisperRecognizer) -> None:
    many = ("abcdefgh",) * 60
    for expected in (Expected(), GERMAN, TWO, NAMES, EARLIER):
        whisper.check_expected(expected)
    with pytest.raises(UsageError, match=r"^languages: the model does not read 'xx'; it reads de, en, fr"):
        whisper.check_expected(Expected(languages=("de", "xx")))
    with pytest.raises(UsageError, match=r"^keywords: they are \d+ tokens, .* 223 fit"):
        whisper.check_expected(Expected(keywords=many))


def test_earlier_text_beside_keywords_that_fill_the_room_is_refused(whisper_folder: Path) -> None:
    full = loaded(whisper_folder, keywords=("abcdefgh",) * 60)
    full.check_expected(GERMAN)
    with pytest.raises(UsageError, match=r"^prompt: the keywords leave no room"):
        full.check_expected(EARLIER)
