"""Redacted copies: nothing planted is in any byte, what cannot be verified is refused, sound is sample-exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from mmer_ray.audio.cover import Cover, covered, sample_ranges
from mmer_ray.errors import UsageError
from mmer_ray.lake.queries import open_lake
from mmer_ray.profiles import Profile
from mmer_ray.publish import redaction as module
from mmer_ray.publish.choice import Choice, choose
from mmer_ray.publish.hearing import Listener, Load
from mmer_ray.publish.redaction import FORMATS, Outcome, Redaction, redact_many
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.redact.rules import RULES, RuleSet
from mmer_ray.redact.word_list import listed_words
from tests.cli.makers import said
from tests.lake.makers import contents
from tests.publish.talk import lake_of, load, load_stubborn, sound_of, utterance

ALL = RuleSet([*RULES.values(), listed_words(["Miller", "anna"])])
NUMBERS = RuleSet([RULES["numbers"]])
PLANTED = ("4915551234567", "five five", "anna", "miller", "example")
SECRETS = [
    said(0.0, 6.0, "my number is 4915551234567 or five five five", "Anna Miller"),
    said(7.0, 12.0, "write to anna@example.com or miller at example dot com"),
    said(13.0, 15.0, "thanks Mr. Miller, bye"),
]


def redacted(address: Path, folder: Path, redaction: Redaction, load: Load = load) -> Outcome:
    with open_lake(address) as reader:
        return redact_many(reader, choose(reader, Choice(where="true")), redaction, folder, load)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def everything(path: Path) -> str:
    """A file's bytes as text, and the values in it where it is compressed; its name too."""
    values = str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else ""
    return f"{path} {path.read_bytes().decode('latin-1')} {values}".casefold()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording whose name and whose speaker's name are secrets too."""
    return lake_of(tmp_path_factory.mktemp("lake"), {"miller-4915551234567.wav": (sound_of("call"), SECRETS)})


def test_nothing_planted_is_in_any_byte_of_any_format(secrets: Path, tmp_path: Path) -> None:
    outcome = redacted(secrets, tmp_path / "out", Redaction(ALL, FORMATS))

    written = files(tmp_path / "out")
    assert outcome.refused == []
    assert len(written) == len(FORMATS) + 2
    for path in written:
        text = everything(path)
        assert [planted for planted in PLANTED if planted in text] == [], path.name


def test_what_is_not_secret_is_published_as_it_was(secrets: Path, tmp_path: Path) -> None:
    (recording_id,) = redacted(secrets, tmp_path / "out", Redaction(ALL, ("json", "parquet"))).published

    folder = tmp_path / "out" / "calls" / recording_id
    document = json.loads((folder / "conversation.json").read_text())
    assert document["uri"] == recording_id
    assert [(one["speaker"], one["text"]) for one in document["utterances"]] == [
        ("N1", "my number is [CARD] or [NUMBER]"),
        ("S1", "write to [EMAIL] or [EMAIL]"),
        ("S1", "thanks Mr. [WORD] bye"),
    ]
    assert [one["emotions"][0]["label"] for one in document["utterances"]] == ["neutral"] * 3
    assert document["utterances"][0]["words"][3] == {"word": "[CARD]", "start_s": 2.25, "end_s": 3.0, "p": 0.9}
    rows = pq.read_table(folder / "utterances.parquet").to_pylist()
    assert [row["num_words"] for row in rows] == [6, 5, 4]
    words = pq.read_table(folder / "words.parquet").to_pylist()
    assert [row["word"] for row in words if row["utterance_idx"] == 2] == ["thanks", "Mr.", "[WORD]", "bye"]


def test_the_lake_stays_as_it_is(secrets: Path, tmp_path: Path) -> None:
    before = contents(secrets)

    redacted(secrets, tmp_path / "out", Redaction(ALL, ("json",)))

    assert contents(secrets) == before


def test_text_in_which_a_rule_finds_something_new_is_refused(secrets: Path, tmp_path: Path) -> None:
    class Once:
        """A rule that finds a word only after another one is gone."""

        def __call__(self, passage):  # type: ignore[no-untyped-def]
            if "[WORD]" in passage.text:
                yield from listed_words(["thanks"])(passage)
            yield from listed_words(["Miller"])(passage)

    outcome = redacted(secrets, tmp_path / "out", Redaction(RuleSet([Once()]), ("json",)))

    assert [one.reason for one in outcome.refused] == ["still_in_text"]
    assert list(tmp_path.iterdir()) == []


def test_words_that_are_not_those_of_the_text_are_refused(tmp_path: Path) -> None:
    odd = replace(utterance("call five now"), text="call 5 now")
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call"), [odd])})

    outcome = redacted(address, tmp_path / "out", Redaction(NUMBERS))

    assert [one.reason for one in outcome.refused] == ["words_do_not_fit"]


@pytest.mark.parametrize("cover", Cover)
def test_covered_samples_differ_inside_the_stretches_alone(tmp_path: Path, cover: Cover) -> None:
    text = "call five five now please"
    original = np.stack([sound_of(text), sound_of("please call please call please", 300)], axis=1)
    address = lake_of(tmp_path / "lake", {"a.wav": (original, [utterance(text)])})

    (recording_id,) = redacted(address, tmp_path / "out", Redaction(NUMBERS, audio=True, cover=cover)).published

    copy, rate_hz = soundfile.read(tmp_path / "out" / "calls" / recording_id / "audio.flac", dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    # "five five" is said from 1.5 to 2.5 s.
    np.testing.assert_array_equal(copy.T, covered(original.T, 0, sample_ranges([(1.5, 2.5)]), cover))
    assert (copy[: round(1.3 * SAMPLE_RATE_HZ)] == original[: round(1.3 * SAMPLE_RATE_HZ)]).all()
    assert (copy[round(2.7 * SAMPLE_RATE_HZ) :] == original[round(2.7 * SAMPLE_RATE_HZ) :]).all()


def test_a_recording_in_which_the_number_is_still_heard_is_refused_alone(tmp_path: Path) -> None:
    talks = {
        "good.wav": (sound_of("call five now"), [utterance("call five now")]),
        # The words say another time than the sound.
        "late.wav": (sound_of("call now please five"), [utterance("call five please now")]),
    }
    address = lake_of(tmp_path / "lake", talks)

    outcome = redacted(address, tmp_path / "out", Redaction(NUMBERS, ("json", "srt"), audio=True))

    (refused,) = outcome.refused
    assert (refused.reason, Path(refused.uri).name) == ("still_heard", "late.wav")
    assert len(outcome.published) == 1
    assert {path.parent.name for path in files(tmp_path / "out")} == set(outcome.published)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "out"]


def test_nothing_is_left_of_a_run_in_which_all_is_refused(tmp_path: Path) -> None:
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call five now"), [utterance("call five now")])})

    outcome = redacted(address, tmp_path / "out", Redaction(NUMBERS, audio=True), load_stubborn)

    assert [one.reason for one in outcome.refused] == ["still_heard"]
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_a_word_that_the_first_transcript_missed_is_found_in_the_copy(tmp_path: Path) -> None:
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call anna now"), [utterance("call hannah now")])})

    outcome = redacted(address, tmp_path / "out", Redaction(ALL, audio=True))

    assert [one.reason for one in outcome.refused] == ["still_heard"]


def test_sound_without_times_is_refused_and_text_alone_is_not(tmp_path: Path) -> None:
    wordless = replace(utterance("call five now"), words=())
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call five now"), [wordless])})

    assert [one.reason for one in redacted(address, tmp_path / "a", Redaction(NUMBERS, audio=True)).refused] == [
        "no_times"
    ]
    assert len(redacted(address, tmp_path / "b", Redaction(NUMBERS)).published) == 1


def test_a_file_that_is_another_one_by_now_is_refused(tmp_path: Path) -> None:
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call five now"), [utterance("call five now")])})
    file = tmp_path / "lake" / "audio" / "a.wav"
    soundfile.write(file, sound_of("call now five"), SAMPLE_RATE_HZ, subtype="PCM_16")

    outcome = redacted(address, tmp_path / "out", Redaction(NUMBERS, audio=True))
    assert [one.reason for one in outcome.refused] == ["audio_changed"]

    file.unlink()
    outcome = redacted(address, tmp_path / "out", Redaction(NUMBERS, audio=True))
    assert [one.reason for one in outcome.refused] == ["not_found"]


def test_the_settings_of_the_run_that_heard_a_recording_hear_it_again(tmp_path: Path) -> None:
    address = lake_of(tmp_path / "lake", {"a.wav": (sound_of("call five now"), [utterance("call five now")])})
    asked: list[Profile] = []

    def loading(profile: Profile) -> Listener:
        asked.append(profile)
        return load(profile)

    redacted(address, tmp_path / "out", Redaction(NUMBERS, audio=True), loading)

    (profile,) = asked
    assert (profile.transcribe, profile.decode) == (Profile(name="test").transcribe, Profile(name="test").decode)


def test_text_alone_loads_no_model(secrets: Path, tmp_path: Path) -> None:
    def loading(profile: Profile) -> Listener:
        raise AssertionError

    assert redacted(secrets, tmp_path / "out", Redaction(ALL), loading).refused == []


def test_a_kill_between_writing_and_naming_leaves_no_name(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def killed(folder: Path) -> Iterator[Path]:
        draft = folder.parent / f".{folder.name}.killed"
        draft.mkdir(parents=True)
        yield draft
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "staged_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        redacted(secrets, tmp_path / "out", Redaction(ALL))

    assert all(path.parent.name.startswith(".") for path in files(tmp_path / "out"))


def test_a_folder_that_holds_something_is_not_published_into(secrets: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        redacted(secrets, tmp_path.parent, Redaction(ALL))
