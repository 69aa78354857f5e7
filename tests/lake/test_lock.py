"""The writer's lock as others see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mmer_ray.lake.lock import LOCK_NAME, is_locked, only_writer

HOLD = """
import sys
from pathlib import Path
from mmer_ray.lake.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_seen_while_another_process_holds_it_and_gone_when_that_is_killed(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)

    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"

    assert is_locked(tmp_path)

    child.kill()
    child.communicate()

    assert (tmp_path / LOCK_NAME).exists()
    assert not is_locked(tmp_path)


def test_looking_does_not_drop_the_lock_that_this_process_holds(tmp_path: Path) -> None:
    ask = "import sys; from pathlib import Path; from mmer_ray.lake.lock import is_locked; "
    command = [sys.executable, "-c", ask + "print(is_locked(Path(sys.argv[1])))", tmp_path]

    with only_writer(tmp_path):
        assert is_locked(tmp_path)
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"

    assert not is_locked(tmp_path)
