"""The registry's files: whole or not there, for any number of processes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.training.registry.gate import read_gate
from mmer_ray.training.registry.promotion import promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.verdict import Gate
from mmer_ray.training.whole_files import UNFINISHED, locked, whole_folder, write_whole
from tests.training.registry.makers import run

GATE = Gate(floor=0.5, margin=0.02)


def test_promotions_at_once_register_each_model_once_and_agree_on_one_history(tmp_path: Path) -> None:
    skills = enumerate((0.6, 0.75, 0.9))
    runs = [run(tmp_path / f"run {skill}", skill, chance=index) for index, skill in skills]
    # A registry each, as processes have them: what they share is the folder.
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: promote(Registry(tmp_path / "registry"), one, GATE), [*runs, runs[2]]))
    registry = Registry(tmp_path / "registry")
    assert [one.is_new for one in found[2:]].count(True) == 1
    assert registry.active() == found[2].name
    assert len(registry.names()) == len(registry.activations()) == sum(one.promoted and one.is_new for one in found)
    assert not list(registry.folder.rglob(f"{UNFINISHED}*"))


def test_a_process_waits_for_another_one_that_changes_the_registry(tmp_path: Path) -> None:
    lock, seen = tmp_path / "lock", tmp_path / "seen"
    script = (
        "import sys\nfrom pathlib import Path\nfrom mmer_ray.training.whole_files import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
        "    Path(sys.argv[2]).write_text('finished')\n"
    )
    command = [sys.executable, "-c", script, str(lock), str(seen)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        waiting = ThreadPoolExecutor(1).submit(read_under_lock, lock, seen)
        other.stdin.write("go on\n")
        other.stdin.flush()
        assert waiting.result() == "finished"


def read_under_lock(lock: Path, file: Path) -> str:
    with locked(lock):
        return file.read_text()


def test_a_folder_that_was_not_finished_leaves_nothing_and_one_that_is_there_stays(tmp_path: Path) -> None:
    def fill(target: Path, text: str) -> None:
        with whole_folder(target) as folder:
            (folder / "file").write_text(text)
            if not text:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "a", "")
    assert not list(tmp_path.iterdir())
    fill(tmp_path / "a", "first")
    with pytest.raises(OSError, match="not empty"):
        fill(tmp_path / "a", "second")
    assert [file.read_text() for file in tmp_path.rglob("file")] == ["first"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "first")
    write_whole(tmp_path / "a", "second")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "second")]


def test_what_a_killed_process_left_is_removed_by_the_next_one_that_changes_something(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    left = registry.folder / "models" / f"{UNFINISHED}abc"
    left.mkdir(parents=True)
    (left / "entry.json").write_text("{}")
    assert registry.names() == []
    promote(registry, run(tmp_path / "good", 0.8), GATE)
    assert not left.exists()


def test_damaged_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    name = promote(registry, run(tmp_path / "good", 0.8), GATE).name
    (registry.folder / "active.json").write_text("{")
    with pytest.raises(PreflightError, match=r"active.json is no mmer.active_model/1: restore it"):
        registry.active()
    (registry.folder / "models" / name / "entry.json").write_text('{"name": 1}')
    with pytest.raises(PreflightError, match=r"entry.json is no entry of a registry: .* Restore it"):
        registry.models()


def test_a_model_that_nobody_registered_is_refused_with_the_names_of_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="registered are: none"):
        Registry(tmp_path).read("calls")


def test_a_gate_is_declared_in_the_registry_or_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    with pytest.raises(UsageError, match="no gate is declared: add --floor"):
        read_gate(file, {"floor": None})
    assert read_gate(file, {"floor": 0.4, "margin": None}) == Gate(0.4)
    file.write_text('floor = 0.6\nmargin = 0.03\nmetric = "wa"\n')
    assert read_gate(file, {"margin": 0.0}) == Gate(0.6, 0.0, "wa")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("floor = 60", "at most 1, not 60"),
        ("floor = 0.5\nmargin = -0.1", "from 0 to 1"),
        ('floor = 0.5\nmetric = "ece"', "cannot ask for 'ece'"),
        ('floor = "high"', "floor and margin are numbers"),
        ("floor = 0.5\nmargins = 0.1", r"unknown keys \['margins'\]; valid are: floor, margin, metric"),
        ("floor", "cannot be read"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(UsageError, match=why):
        read_gate(tmp_path / "gate.toml", {})
