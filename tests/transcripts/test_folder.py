"""Which recording a given file belongs to, and how it marks it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from mmer_ray.errors import SourceError
from mmer_ray.records import Recording
from mmer_ray.sources.listing import ListedFile, listed_batch, recordings_of
from mmer_ray.transcripts.folder import TranscriptFolder
from mmer_ray.transcripts.mark import input_digest, mark_of, own_mark
from tests.transcripts.makers import rttm, whisper, whisperx

WORDS = [("so", 0.5, 0.75), ("what", 1.0, 1.5)]


def put(folder: Path, **files: object) -> TranscriptFolder:
    """Files by `NAME_json` or `NAME_rttm`, `__` for a slash."""
    for name, content in files.items():
        path = folder / (name.replace("__", "/")[:-5] + "." + name[-4:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return TranscriptFolder(str(folder))


def marked(folder: TranscriptFolder, *uris: str) -> list[Recording]:
    batch = listed_batch([ListedFile(uri, "/calls", 10, "17") for uri in uris], "default")
    return list(recordings_of(pa.Table.from_batches(folder.marked([batch]))))


def test_a_file_belongs_to_the_recording_of_its_name_in_the_same_subfolder(tmp_path: Path) -> None:
    folder = put(tmp_path, a_json=whisper(WORDS), new__b_rttm=rttm([("A", 0, 1)]))

    recordings = marked(folder, "/calls/a.wav", "/calls/b.wav", "/calls/new/b.opus", "/calls/new/a.wav")

    marks = [mark_of(one.modified) for one in recordings]
    assert [mark and (mark.words, mark.turns) for mark in marks] == [(True, False), None, (False, True), None]
    assert [own_mark(one.modified) for one in recordings] == ["17"] * 4
    assert folder.without_recording == []


def test_files_without_a_recording_are_named(tmp_path: Path) -> None:
    folder = put(tmp_path, a_json=whisper(WORDS), other_json={"no": "transcript"}, new__a_rttm="")

    marked(folder, "/calls/a.wav")

    assert folder.without_recording == ["new/a.rttm", "other.json"]


def test_words_and_turns_come_from_both_files_and_rttm_counts_before_speakers_in_json(tmp_path: Path) -> None:
    folder = put(tmp_path, a_json=whisperx(WORDS, ["X", "Y"]), a_rttm=rttm([("A", 0, 2)]))

    (recording,) = marked(folder, "/calls/a.wav")
    given = folder.given(recording)

    assert given is not None
    assert given.words is not None
    assert given.turns is not None
    assert [word.word for word in given.words] == ["so", "what"]
    assert {turn.speaker for turn in given.turns} == {"A"}


def test_other_bytes_are_another_mark_and_another_input(tmp_path: Path) -> None:
    (before,) = marked(put(tmp_path, a_json=whisper(WORDS)), "/calls/a.wav")
    (same,) = marked(put(tmp_path, a_json=whisper(WORDS)), "/calls/a.wav")
    (after,) = marked(put(tmp_path, a_json=whisper([("no", 0.5, 0.75)])), "/calls/a.wav")

    assert same.modified == before.modified != after.modified
    digests = {input_digest("ab" * 16, mark) for mark in ("17", before.modified, after.modified)}
    assert len(digests) == 3
    assert input_digest("ab" * 16, "17") == "ab" * 16


def test_a_file_that_changes_after_it_was_planned_ends_the_job(tmp_path: Path) -> None:
    folder = put(tmp_path, a_json=whisper(WORDS))
    (recording,) = marked(folder, "/calls/a.wav")
    put(tmp_path, a_json=whisper([("no", 0.5, 0.75)]))

    with pytest.raises(SourceError, match="changed while the job ran; run the same command again"):
        folder.given(recording)


def test_a_folder_with_nothing_in_it_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.json and no \.rttm"):
        TranscriptFolder(str(tmp_path))
    with pytest.raises(SourceError, match="is no folder"):
        TranscriptFolder(str(tmp_path / "nowhere"))


def test_a_bad_file_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"{tmp_path}/a\.json is no transcript"):
        marked(put(tmp_path, a_json={"no": "transcript"}), "/calls/a.wav")
