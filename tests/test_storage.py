"""What the user names becomes recordings; nothing is opened and nothing disappears without a count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmer_ray.errors import SourceError
from mmer_ray.storage import HIDDEN, LINKED_FOLDER, SourceListing, list_sources
from mmer_ray.uris import local_path, local_uri


def listed(*sources: Path | str) -> SourceListing:
    return list_sources([str(source) for source in sources], "calls")


def touched(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(listing: SourceListing, folder: Path) -> list[str]:
    return [recording.uri.removeprefix(f"{folder}/") for recording in listing.recordings]


def test_a_folder_is_listed_recursively_and_in_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a/z.flac", "a/b/c.opus", "noext", "odd.xyz", "ä.mp3"):
        touched(tmp_path / name)
    assert names(listed(tmp_path), tmp_path) == ["a/b/c.opus", "a/z.flac", "b.wav", "noext", "odd.xyz", "ä.mp3"]


def test_what_is_no_audio_by_its_name_is_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("a.wav", "a.rttm", "b.RTTM", "c.json", ".hidden.wav", ".git/x.wav"):
        touched(tmp_path / name)
    listing = listed(tmp_path)
    assert names(listing, tmp_path) == ["a.wav"]
    assert listing.left_out == {"rttm": 2, "json": 1, HIDDEN: 2}


def test_oddities_are_listed_so_that_they_fail_as_rows(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    touched(tmp_path / "disc.flac" / "track.flac")
    assert names(listed(tmp_path), tmp_path) == ["broken.wav", "disc.flac/track.flac", "folder.wav", "pipe.wav"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    (tmp_path / "again").symlink_to(tmp_path)
    listing = listed(tmp_path)
    assert names(listing, tmp_path) == ["a.wav"]
    assert listing.left_out == {LINKED_FOLDER: 1}


def test_a_recording_carries_its_size_its_mark_and_its_day(tmp_path: Path) -> None:
    path = touched(tmp_path / "a.wav", b"12345")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (recording,) = listed(tmp_path).recordings
    assert (recording.corpus, recording.root, recording.size_bytes) == ("calls", str(tmp_path), 5)
    assert (recording.modified, recording.day) == ("1700000000123456789", "2023-11-14")


def test_a_file_is_its_own_source_whatever_its_extension(tmp_path: Path) -> None:
    (recording,) = listed(touched(tmp_path / "a.txt")).recordings
    assert (recording.uri, recording.root) == (str(tmp_path / "a.txt"), str(tmp_path))


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone.* does not exist"):
        listed(tmp_path / "gone")


def test_the_same_recording_twice_is_kept_once_and_reported(tmp_path: Path) -> None:
    path = touched(tmp_path / "a.wav")
    listing = listed(tmp_path, path)
    assert len(listing.recordings) == 1
    assert listing.duplicates == (str(path),)


def test_a_name_that_is_not_utf8_makes_a_url_and_back(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9%.wav"
    with open(raw, "wb"):  # noqa: PTH123 -- pathlib takes no bytes
        pass
    (recording,) = listed(tmp_path).recordings
    assert recording.uri == f"file://{tmp_path}/caf%E9%25.wav"
    assert local_path(recording.uri) == raw
    assert local_uri(raw) == recording.uri
    assert listed(recording.uri).recordings[0].uri == recording.uri


def test_links_keep_their_own_name(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to("a.wav")
    assert names(listed(tmp_path), tmp_path) == ["a.wav", "b.wav"]


def test_a_manifest_gives_metadata_days_and_roots(tmp_path: Path) -> None:
    inside, elsewhere = touched(tmp_path / "m" / "sub" / "a.wav"), touched(tmp_path / "other" / "b.wav")
    manifest = tmp_path / "m" / "calls.csv"
    rows = [
        "uri,agent,recorded_at",
        "sub/a.wav,Ann,2026-03-01T23:30:00-02:00",
        f"{elsewhere},,2026-03-05",
        "../x.wav,,",
    ]
    manifest.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b"\r\n")
    first, second, third = listed(manifest).recordings
    assert (first.uri, first.root, first.day) == (str(inside), str(tmp_path / "m"), "2026-03-02")
    assert first.metadata == {"agent": "Ann"}
    assert (second.uri, second.root, second.day) == (str(elsewhere), str(tmp_path / "other"), "2026-03-05")
    # Listed with its root, so that it ends as a row with `outside_root`.
    assert (third.uri, third.root) == (str(tmp_path / "x.wav"), str(tmp_path / "m"))


def test_a_manifest_row_twice_is_a_duplicate(tmp_path: Path) -> None:
    manifest = touched(tmp_path / "m.csv", b"uri\na.wav\n./a.wav\n")
    listing = listed(manifest)
    assert len(listing.recordings) == 1
    assert listing.duplicates == (str(tmp_path / "a.wav"),)


def test_files_are_listed_without_opening_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(1_000):
        os.mknod(tmp_path / f"{index}.wav")
    monkeypatch.setattr(os, "open", None)
    assert len(listed(tmp_path).recordings) == 1_000
