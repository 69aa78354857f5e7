"""The folder of clips: private, and gone with its process."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmer_ray.serving.clip_folder import LOCK, PREFIX, clip_folder, remove_abandoned
from mmer_ray.serving.interface import ScorersUnavailableError

HOLDS_A_CLIP = """
import sys, time
from pathlib import Path
from mmer_ray.serving.clip_folder import clip_folder
with clip_folder(Path(sys.argv[1])) as folder, folder.file_of(b"a secret") as path:
    print(path, flush=True)
    time.sleep(60)
"""


def test_bytes_lie_in_a_file_that_this_user_alone_can_read_until_they_are_scored(tmp_path: Path) -> None:
    with clip_folder(tmp_path) as folder:
        with folder.file_of(b"sound") as path:
            assert path.read_bytes() == b"sound"
            assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
            assert path.suffix == ""
        assert [one.name for one in folder.path.iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_that_was_killed_goes_with_the_next_start_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_A_CLIP, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        clip = Path(holder.stdout.readline().strip())
        remove_abandoned(tmp_path)
        assert clip.read_bytes() == b"a secret"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert clip.exists()
    with clip_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder.path]


def test_what_is_no_folder_of_clips_is_left_alone(tmp_path: Path) -> None:
    unlocked = tmp_path / f"{PREFIX}being-made"
    unlocked.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere)
    (tmp_path / f"{PREFIX}file").touch()
    before = sorted(tmp_path.rglob("*"))
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_no_fault_of_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with clip_folder(tmp_path) as folder:
        monkeypatch.setattr("os.fdopen", lambda *_: Full())
        with pytest.raises(ScorersUnavailableError, match="No space left"), folder.file_of(b"sound"):
            pass
        monkeypatch.undo()
        assert [one.name for one in folder.path.iterdir()] == [LOCK]
