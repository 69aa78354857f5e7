"""The legal basis of a corpus and the notice that was given: stated, replaced, and flagged where they are missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmer_ray.cli import main
from mmer_ray.errors import LakeError, UsageError
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.corpus_facts import CorpusFacts, corpus_facts, state
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verification import Verification
from tests.lake.removals import canary_lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return canary_lake(tmp_path)[0]


def facts(lake: Lake) -> CorpusFacts:
    with open_lake(lake.address) as reader:
        return corpus_facts(reader)[0]


def test_a_corpus_of_which_nothing_is_stated_misses_both(lake: Lake) -> None:
    assert facts(lake).missing == ("legal_basis", "notice_given")


def test_each_fact_is_stated_by_itself_and_the_newest_counts(lake: Lake) -> None:
    name = facts(lake).corpus
    state(lake, name, legal_basis=" consent, form 7 ", author="ann")
    state(lake, name, notice_given=False)
    assert facts(lake) == CorpusFacts(name, "consent, form 7", False)
    assert facts(lake).missing == ("notice_given",), "people who were not told are missing their notice"
    state(lake, name, notice_given=True)
    assert facts(lake) == CorpusFacts(name, "consent, form 7", True)
    assert facts(lake).missing == ()


def test_what_is_stated_outlives_compaction_and_passes_verification(lake: Lake) -> None:
    name = facts(lake).corpus
    state(lake, name, legal_basis="contract", notice_given=True)
    compact(lake)
    assert facts(lake) == CorpusFacts(name, "contract", True)
    assert not [str(one) for one in Verification(lake).findings() if one.is_damage]


def test_what_cannot_be_meant_is_refused_by_name(lake: Lake, tmp_path: Path) -> None:
    name = facts(lake).corpus
    with pytest.raises(UsageError, match=f"has no corpus 'calls2'; it has: .*{name}"):
        state(lake, "calls2", notice_given=True)
    with pytest.raises(UsageError, match="nothing is stated"):
        state(lake, name)
    for basis in (" ", "x" * 501):
        with pytest.raises(UsageError, match="--legal-basis takes 1 to 500 characters"):
            state(lake, name, legal_basis=basis)
    with pytest.raises(LakeError):
        state(Lake(str(tmp_path / "nowhere")), name, notice_given=True)


def test_the_command_states_and_shows(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    name = facts(lake).corpus
    assert main(["lake", "corpus", name, "--lake", lake.address, "--legal-basis", "consent", "--notice-given"]) == 0
    assert "consent" in capsys.readouterr().out
    assert main(["lake", "corpus", "--lake", lake.address, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {"corpus": name, "legal_basis": "consent", "notice_given": True} in shown["corpora"]
    assert main(["lake", "corpus", name, "--lake", lake.address]) == 0
    assert "consent" in capsys.readouterr().out
    assert main(["lake", "corpus", "calls2", "--lake", lake.address]) == 2
    assert f"it has: {name}" in capsys.readouterr().err
