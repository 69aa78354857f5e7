"""A disk that fills up in the middle of a run, and a lake on a file system that cannot be written.

Both need a file system of their own, so a process that may not mount one skips these tests.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.cli import main
from mmer_ray.lake.queries import open_lake
from mmer_ray.pipelines import corpus
from mmer_ray.profiles import Profile
from mmer_ray.records import ScoredRecording, Task
from mmer_ray.runners import driver, preflight
from mmer_ray.runners.store_retry import StoreRetry
from mmer_ray.stages.keys import keys_of
from tests.lake.damage import damages, notes, small_lake
from tests.lake.makers import EVERY_TABLE, answer, audio_file, contents
from tests.slow import slow_but

NUM_FILES = 16
SETTINGS = ("run.runner=inprocess", "run.first_commit_s=0.001", "run.commit_every_s=0.001")
"""A commit for every recording."""
SIZES_KB = (300, 1_200, 2_000)
"""Room for no commit, for some, and for more: the disk is full at other steps."""

Mount = Callable[..., Path]


class Instant:
    """A pipeline whose answers follow from the bytes."""

    def __init__(self, profile: Profile, *, hears: bool = True) -> None:
        assert hears
        self._keys = keys_of(profile)

    def __enter__(self) -> Instant:
        return self

    def __exit__(self, *_: object) -> None: ...

    def score(self, tasks: Iterable[Task], on_heard: object = None) -> Iterator[ScoredRecording]:
        return (answer(task, self._keys) for task in tasks)


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "Pipeline", Instant)
    monkeypatch.setattr(driver, "StoreRetry", lambda sleep: StoreRetry((0.0,), sleep))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount something on a new folder; what is mounted goes with the test."""
    mounted: list[Path] = []

    def mount_on(name: str, *arguments: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", *map(str, arguments), str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if done.returncode:
            pytest.skip(f"this process may not mount a file system: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount_on
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    for number in range(NUM_FILES):
        audio_file(folder, f"{number}.wav")
    return folder


def score(audio: Path, lake: Path) -> int:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return main(["score", str(audio), "--lake", str(lake), "--profile", "synthetic", "--no-progress", *settings])


@pytest.mark.parametrize("size_kb", slow_but(SIZES_KB, [1_200]))
def test_a_disk_that_fills_up_ends_the_job_with_5_and_a_rerun_with_room_gives_the_rows_of_an_undisturbed_run(
    size_kb: int, audio: Path, mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(preflight, "MIN_FREE_BYTES", 0)
    assert score(audio, tmp_path / "undisturbed") == 0
    whole = contents(tmp_path / "undisturbed")
    disk = mount("disk", "-t", "tmpfs", "-o", f"size={size_kb}k", "mmer-test")
    lake = disk / "lake"

    assert score(audio, lake) == 5

    assert "No space left on device" in capfd.readouterr().err
    seen = contents(lake)
    assert len(seen["recordings"]) < NUM_FILES
    assert (len(seen["recordings"]) > 0) == (size_kb > SIZES_KB[0])
    for name in EVERY_TABLE:
        assert all(row in whole[name] for row in seen[name]), "a reader saw a torn commit"
    assert damages(lake) == []

    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert score(audio, lake) == 0
    assert contents(lake) == whole
    assert damages(lake) == []
    assert not any("no recorded digest" in one for one in notes(lake))


@pytest.mark.slow
def test_a_disk_that_is_nearly_full_is_refused_before_anything_is_computed(
    audio: Path, mount: Mount, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = mount("disk", "-t", "tmpfs", "-o", "size=8m", "mmer-test")
    assert score(audio, disk / "lake") == 4
    assert "MB free, a lake needs 200 MB; free some or name another folder" in capfd.readouterr().err
    assert list(disk.iterdir()) == []


@pytest.fixture
def read_only(mount: Mount, tmp_path: Path) -> Path:
    """A lake that cannot be written, not even by root."""
    lake = small_lake(tmp_path / "writable")
    folder = mount("read_only", "--bind", lake.address)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("query", "SELECT count(*) FROM utterances"),
        ("status",),
        ("show", "a.wav"),
        ("lake", "verify"),
        ("lake", "upgrade", "--dry-run"),
    ],
)
def test_a_lake_that_cannot_be_written_can_be_read(command: tuple[str, ...], read_only: Path) -> None:
    assert main([*command, "--lake", str(read_only)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("models", "activate", "mmer-1"),
        ("recluster", "a.wav", "--speakers", "2"),
        ("lake", "upgrade"),
    ],
)
def test_what_would_write_it_ends_with_4_and_a_remedy(
    command: tuple[str, ...], read_only: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = contents(read_only)
    assert main([*command, "--lake", str(read_only)]) == 4
    assert "read-only; name another folder" in capfd.readouterr().err
    assert contents(read_only) == shown


def test_scoring_into_it_ends_with_4_before_anything_is_computed(
    audio: Path, read_only: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(corpus, "Pipeline", never)
    assert score(audio, read_only) == 4
    assert "cannot be written" in capfd.readouterr().err


@pytest.mark.slow
def test_a_reader_of_a_lake_on_such_a_file_system_writes_nothing(read_only: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(read_only, tmp_path / "copy")
    with open_lake(read_only) as reader:
        rows = reader.sql("FROM utterances").num_rows
    assert rows > 0
    assert sorted(path.name for path in read_only.rglob("*")) == sorted(path.name for path in copy.rglob("*"))
