"""What README and docs say of the tree and of the command line is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from mmer_ray.cli.app import app
from mmer_ray.errors import RETRYABLE, ErrorCode
from mmer_ray.profiles import Profile

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAX_COLUMNS = 120
_PATH = re.compile(r"`((?:mmer_ray|tests|benchmarks|jobs|docs|dashboard|infra|cluster)/[\w./-]+|[\w/]+\.(?:py|toml))`")
_COMMAND = re.compile(r"\bmmer ([a-z]+)(?: ([a-z]+))?")
_SETTING = re.compile(r"--set ([a-z]+)\.([a-z_]+)")


def _is_in_tree(name: str) -> bool:
    """Whether a name is that of a file or folder, from the top or from within one of the packages."""
    return (ROOT / name).exists() or any(any((ROOT / package).rglob(name)) for package in ("mmer_ray", "dashboard"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_lines_of_at_most_120_columns(page: Path) -> None:
    long = [line for line in page.read_text(encoding="utf-8").splitlines() if len(line) > MAX_COLUMNS]
    assert long == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "design.md"], ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    assert named, "the page names files"
    assert sorted(name for name in named if not _is_in_tree(name)) == []


def test_every_command_that_the_readme_names_exists() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    named = set(_COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert named, "the README names commands"
    for command, subcommand in named:
        assert command in commands, command
        if hasattr(commands[command], "commands") and subcommand:
            assert subcommand in commands[command].commands, f"{command} {subcommand}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_profile_key_that_a_page_sets_exists(page: Path) -> None:
    if page.name == "log.md":
        pytest.skip("the log speaks of its day")
    for table, key in _SETTING.findall(page.read_text(encoding="utf-8")):
        assert table in Profile.model_fields, table
        assert key in Profile.model_fields[table].annotation.model_fields, f"{table}.{key}"  # type: ignore[union-attr]


def test_the_readme_names_a_profile_key() -> None:
    assert _SETTING.search((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_page_on_troubleshooting_lists_every_error_code_and_which_ones_are_tried_again() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_]+)`( \(again\))? \|", page, flags=re.MULTILINE)
    assert dict(listed) == {code.value: " (again)" if code in RETRYABLE else "" for code in ErrorCode}
