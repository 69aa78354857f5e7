"""What the user names becomes recordings; nothing is opened and nothing disappears without a count."""

from __future__ import annotations

import builtins
import io
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.audio.opening import LocalBytes
from mmer_ray.errors import RETRYABLE, AudioError, ErrorCode, SourceError
from mmer_ray.records import Recording
from mmer_ray.sources.folders import HIDDEN, LAKE, LINKED_FOLDER, UNREADABLE_FOLDER
from mmer_ray.sources.listing import LISTED, MAX_BATCH_ROWS, SourceListing, recordings_of
from mmer_ray.sources.sources import list_sources
from mmer_ray.sources.uris import local_path, local_uri

LONG_AGO_NS = 1_700_000_000_123_456_789


def listing_of(*sources: Path | str, roots: tuple[Path | str, ...] = ()) -> SourceListing:
    return list_sources([str(source) for source in sources], "calls", [str(root) for root in roots])


def listed(*sources: Path | str, roots: tuple[Path | str, ...] = ()) -> list[Recording]:
    return recordings(listing_of(*sources, roots=roots))


def recordings(listing: SourceListing) -> list[Recording]:
    return [recording for batch in listing.batches() for recording in recordings_of(batch)]


def touched(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(some: list[Recording], folder: Path) -> list[str]:
    return [recording.uri.removeprefix(f"{folder}/") for recording in some]


def code_of(recording: Recording) -> ErrorCode | None:
    """How opening the recording fails, as the decoder would."""
    try:
        LocalBytes(recording.uri, recording.root).close()
    except AudioError as error:
        return error.code
    return None


def test_a_folder_is_listed_recursively_in_the_order_of_paths(tmp_path: Path) -> None:
    every = ["a.wav", "a/b/c.opus", "a/z.flac", "a0.wav", "b.wav", "noext", "odd.xyz", "ä.mp3"]
    for name in reversed(every):
        touched(tmp_path / name)
    assert names(listed(tmp_path), tmp_path) == sorted(every, key=os.fsencode)


def test_what_is_no_audio_by_its_name_is_left_out_and_counted_with_an_example(tmp_path: Path) -> None:
    for name in ("a.wav", "a.rttm", "b.RTTM", "c.json", ".hidden.wav", ".git/x.wav"):
        touched(tmp_path / name)
    listing = listing_of(tmp_path)
    assert names(recordings(listing), tmp_path) == ["a.wav"]
    assert listing.left_out == {"rttm": 2, "json": 1, HIDDEN: 2}
    assert listing.left_out_examples["json"] == str(tmp_path / "c.json")


@pytest.mark.parametrize(
    "extension",
    [
        "cha",
        "PHN",
        "WRD",
        "m3u",
        "m3u8",
        "pls",
        "pk",
        "rtf",
        "lnk",
        "part",
        "bak",
        "crdownload",
        "tmp",
        "ini",
        "db",
        "url",
    ],
)
def test_text_playlists_and_leftovers_beside_the_sound_are_left_out(tmp_path: Path, extension: str) -> None:
    touched(tmp_path / "call1.wav")
    touched(tmp_path / f"call1.{extension}")
    listing = listing_of(tmp_path)
    assert names(recordings(listing), tmp_path) == ["call1.wav"]
    assert listing.left_out == {extension.lower(): 1}


def test_oddities_are_listed_so_that_they_fail_as_rows(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    touched(tmp_path / "disc.flac" / "track.flac")
    assert names(listed(tmp_path), tmp_path) == ["broken.wav", "disc.flac/track.flac", "folder.wav", "pipe.wav"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_subfolder_that_may_not_be_read_is_refused_by_name_and_one_with_a_fault_is_counted(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.wav", "lost+found/2.wav", "z/3.wav"):
        touched(tmp_path / name)
    scandir = os.scandir

    # Tests may run as root, whom no permission stops.
    def refuse(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        if b"lost+found" in folder:
            raise error
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = listing_of(tmp_path)
    if isinstance(error, PermissionError):
        with pytest.raises(SourceError, match=r"lost\+found.*make it readable for this user"):
            recordings(listing)
        return
    assert names(recordings(listing), tmp_path) == ["a/1.wav", "z/3.wav"]
    assert listing.left_out == {UNREADABLE_FOLDER: 1}
    assert listing.left_out_examples[UNREADABLE_FOLDER] == f"{tmp_path}/lost+found/"


def test_a_file_that_vanishes_while_it_is_listed_stays_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", "b.wav"):
        touched(tmp_path / name)
    lstat = os.lstat

    def vanish(path: bytes) -> os.stat_result:
        if path.endswith(b"/a.wav"):
            Path(os.fsdecode(path)).unlink(missing_ok=True)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", vanish)
    first, second = listed(tmp_path)
    assert (first.uri, first.size_bytes, code_of(first)) == (str(tmp_path / "a.wav"), 0, ErrorCode.NOT_FOUND)
    assert second.size_bytes == 1


def test_a_lake_inside_its_source_is_left_out(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    touched(tmp_path / "lake" / "lake.json", b"{}")
    touched(tmp_path / "lake" / "words" / "_last_checkpoint")
    listing = listing_of(tmp_path)
    assert names(recordings(listing), tmp_path) == ["a.wav"]
    assert listing.left_out == {LAKE: 1}


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    (tmp_path / "again").symlink_to(tmp_path)
    listing = listing_of(tmp_path)
    assert names(recordings(listing), tmp_path) == ["a.wav"]
    assert listing.left_out == {LINKED_FOLDER: 1}


def test_links_of_a_folder_lead_into_roots_that_the_user_names(tmp_path: Path) -> None:
    folder, store = tmp_path / "calls", tmp_path / "store"
    touched(store / "2026" / "a.wav")
    touched(store / "b.wav")
    folder.mkdir()
    (folder / "year").symlink_to(store / "2026")
    (folder / "b.wav").symlink_to(store / "b.wav")
    outside = listing_of(folder)
    (refused,) = recordings(outside)
    assert (outside.left_out, code_of(refused)) == ({LINKED_FOLDER: 1}, ErrorCode.OUTSIDE_ROOT)

    allowed = listed(folder, roots=(store,))
    assert names(allowed, folder) == ["b.wav", "year/a.wav"]
    assert {recording.root for recording in allowed} == {str(store)}
    assert [code_of(recording) for recording in allowed] == [None, None]


def test_folders_that_link_to_one_another_are_walked_once(tmp_path: Path) -> None:
    folder, store = tmp_path / "calls", tmp_path / "store"
    touched(store / "one" / "a.wav")
    touched(store / "two" / "b.wav")
    folder.mkdir()
    (folder / "one").symlink_to(store / "one")
    (store / "one" / "two").symlink_to(store / "two")
    (store / "two" / "one").symlink_to(store / "one")
    (store / "two" / "all").symlink_to(tmp_path)
    listing = listing_of(folder, roots=(store,))
    assert names(recordings(listing), folder) == ["one/a.wav", "one/two/b.wav"]
    assert listing.left_out == {LINKED_FOLDER: 2}


def test_a_recording_carries_its_size_its_mark_and_its_day(tmp_path: Path) -> None:
    path = touched(tmp_path / "a.wav", b"12345")
    os.utime(path, ns=(0, LONG_AGO_NS))
    (recording,) = listed(tmp_path)
    assert (recording.corpus, recording.root, recording.size_bytes) == ("calls", str(tmp_path), 5)
    assert (recording.modified, recording.day) == (str(LONG_AGO_NS), "2023-11-14")
    assert (recording.expected_s, recording.metadata) == (None, {})


def test_a_modification_time_that_no_calendar_has_gives_no_day_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path / "a.wav")
    year_33658_s = 1_000_000_000_000
    lstat = os.lstat

    # Few file systems hold such a time.
    def damaged(path: bytes) -> os.stat_result:
        found = lstat(path)
        return os.stat_result(found[:10], {"st_mtime_ns": year_33658_s * 10**9})

    monkeypatch.setattr(os, "lstat", damaged)
    (recording,) = listed(tmp_path)
    assert (recording.day, recording.modified) == ("1970-01-01", str(year_33658_s * 10**9))


def test_a_file_is_its_own_source_whatever_its_extension(tmp_path: Path) -> None:
    (recording,) = listed(touched(tmp_path / "a.txt"))
    assert (recording.uri, recording.root) == (str(tmp_path / "a.txt"), str(tmp_path))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("gone", r"gone.* does not exist"),
        ("", "a source is empty"),
        ("  ", "a source is empty"),
        ("gs://bucket/calls", r"gs:// is not supported.*paths, file:// URLs and s3:// addresses"),
        ("https://example.org/a.wav", "https:// is not supported"),
        ("file://server/share/a.wav", "names a file of this machine"),
        ("s3://bucket/\udce9", "it is not valid UTF-8"),
        ("s3://bucket/m.parquet", "a manifest is read from a local file"),
        ("nul\0.wav", "does not exist"),
    ],
)
def test_a_source_that_cannot_be_one_is_refused_by_name_before_anything_is_listed(source: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        listing_of(source)


def test_relative_names_in_a_working_directory_that_is_gone_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SourceError, match="the working directory is gone"):
        listing_of("one.wav")
    assert len(listed(touched(tmp_path / "a.wav"))) == 1


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    for root in (tmp_path / "gone", touched(tmp_path / "a.wav"), "", "gs://bucket"):
        with pytest.raises(SourceError, match="--root"):
            listing_of(tmp_path, roots=(root,))


def test_a_corpus_that_cannot_name_a_folder_is_refused(tmp_path: Path) -> None:
    for corpus in ("", 81 * "x", "caf\udce9", "__HIVE_DEFAULT_PARTITION__"):
        with pytest.raises(SourceError, match="cannot name a folder of the lake"):
            list_sources([str(tmp_path)], corpus)


def test_a_recording_that_two_sources_name_is_listed_twice(tmp_path: Path) -> None:
    path = touched(tmp_path / "a.wav")
    assert [recording.uri for recording in listed(tmp_path, path)] == [str(path), str(path)]


def test_a_name_that_is_not_utf8_makes_a_url_and_back(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9%.wav"
    with open(raw, "wb"):  # noqa: PTH123 -- pathlib takes no bytes
        pass
    (recording,) = listed(tmp_path)
    assert recording.uri == f"file://{tmp_path}/caf%E9%25.wav"
    assert local_path(recording.uri) == raw
    assert local_uri(raw) == recording.uri
    assert listed(recording.uri)[0].uri == recording.uri
    assert listed(os.fsdecode(raw))[0].uri == recording.uri


def test_a_manifest_may_lie_in_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 -- pathlib takes no bytes
    for name, data in ((b"/a.wav", b"x"), (b"/m.csv", b"uri\na.wav\n")):
        with open(folder + name, "wb") as file:  # noqa: PTH123
            file.write(data)
    (recording,) = listed(os.fsdecode(folder + b"/m.csv"))
    assert (recording.uri, recording.size_bytes) == (f"file://{tmp_path}/caf%E9/a.wav", 1)
    assert code_of(recording) is None


def test_links_keep_their_own_name(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to("a.wav")
    first, second = listed(tmp_path)
    assert names([first, second], tmp_path) == ["a.wav", "b.wav"]
    assert (first.size_bytes, first.modified, first.root) == (second.size_bytes, second.modified, second.root)


def test_a_manifest_gives_metadata_days_and_corpora(tmp_path: Path) -> None:
    inside = touched(tmp_path / "m" / "sub" / "a.wav")
    touched(tmp_path / "m" / "b.wav")
    manifest = tmp_path / "m" / "calls.csv"
    rows = ["uri,agent,recorded_at,corpus", "sub/a.wav,Ann,2026-03-01T23:30:00-02:00,held back", "b.wav,,2026-03-05,"]
    manifest.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b"\r\n")
    first, second = listed(manifest)
    assert (first.uri, first.root, first.day) == (str(inside), str(tmp_path / "m"), "2026-03-02")
    assert (first.corpus, first.metadata) == ("held back", {"agent": "Ann"})
    assert (second.corpus, second.day, second.size_bytes) == ("calls", "2026-03-05", 1)


def test_a_manifest_reads_from_its_own_folder_and_from_named_roots_only(tmp_path: Path) -> None:
    home, other = tmp_path / "m", tmp_path / "other"
    touched(home / "a.wav")
    touched(other / "b.wav")
    touched(tmp_path / "secret.wav")
    (home / "link.wav").symlink_to(tmp_path / "secret.wav")
    rows = ["uri", "a.wav", f"{home}/./a.wav", f"{other}/b.wav", "../other/b.wav", "../secret.wav", "link.wav"]
    manifest = touched(home / "m.csv", "\n".join(rows).encode())
    outside = ErrorCode.OUTSIDE_ROOT
    assert [code_of(one) for one in listed(manifest)] == [None, None, outside, outside, outside, outside]
    allowed = listed(manifest, roots=(other,))
    assert [code_of(one) for one in allowed] == [None, None, None, None, outside, outside]
    assert [one.root for one in allowed[:4]] == [str(home), str(home), str(other), str(other)]


def test_a_root_is_found_whatever_links_lead_to_it(tmp_path: Path) -> None:
    touched(tmp_path / "disk7" / "a.wav")
    (tmp_path / "data").symlink_to(tmp_path / "disk7")
    manifest = touched(tmp_path / "m" / "m.csv", f"uri\n{tmp_path}/disk7/a.wav\n{tmp_path}/data/a.wav\n".encode())
    for root in ("disk7", "data"):
        assert [code_of(one) for one in listed(manifest, roots=(tmp_path / root,))] == [None, None]


def test_a_recording_outside_its_roots_is_tried_again_once_a_root_is_named(tmp_path: Path) -> None:
    manifest = touched(tmp_path / "m" / "m.csv", f"uri\n{touched(tmp_path / 'a.wav')}\n".encode())
    (recording,) = listed(manifest)
    with pytest.raises(AudioError, match="--root"):
        LocalBytes(recording.uri, recording.root)
    assert ErrorCode.OUTSIDE_ROOT in RETRYABLE


def test_blanks_around_a_uri_are_dropped_when_only_the_trimmed_name_is_there(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    touched(tmp_path / " b.wav ")
    manifest = touched(tmp_path / "m.csv", b"uri,x\n a.wav ,1\n b.wav ,2\n gone.wav,3\n")
    assert names(listed(manifest), tmp_path) == ["a.wav", " b.wav ", " gone.wav"]


@pytest.mark.parametrize(("on_disk", "named"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_manifest_from_another_system_finds_names_with_accents(tmp_path: Path, on_disk: str, named: str) -> None:
    file, row = (unicodedata.normalize(form, "Gespräch é.wav") for form in (on_disk, named))  # type: ignore[arg-type]
    assert file != row
    touched(tmp_path / file)
    manifest = touched(tmp_path / "m.csv", f"uri\n{row}\n".encode())
    (recording,) = listed(manifest)
    assert (recording.uri, recording.size_bytes) == (str(tmp_path / file), 1)


def test_a_long_manifest_comes_in_batches_of_bounded_size(tmp_path: Path) -> None:
    touched(tmp_path / "a.wav")
    num_rows = MAX_BATCH_ROWS + 5
    pq.write_table(pa.table({"uri": ["a.wav"] * num_rows, "n": range(num_rows)}), tmp_path / "m.parquet")
    batches = list(listing_of(tmp_path / "m.parquet").batches())
    assert all(batch.schema == LISTED and batch.num_rows <= MAX_BATCH_ROWS for batch in batches)
    last = list(recordings_of(batches[-1]))[-1]
    assert sum(batch.num_rows for batch in batches) == num_rows
    assert last.metadata == {"n": str(num_rows - 1)}


def test_many_sources_come_in_few_batches_and_can_be_listed_again(tmp_path: Path) -> None:
    files = [touched(tmp_path / "audio" / f"{index}.wav") for index in range(20)]
    touched(tmp_path / "audio" / "notes.txt")
    listing = listing_of(*files, tmp_path / "audio")
    for _ in range(2):
        (batch,) = listing.batches()
        assert batch.num_rows == 40
        assert listing.left_out == {"txt": 1}


def test_files_are_listed_without_opening_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(100):
        touched(tmp_path / f"{index}.wav")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    for module, name in ((os, "open"), (builtins, "open"), (io, "open")):
        monkeypatch.setattr(module, name, refuse)
    assert len(listed(tmp_path)) == 100
