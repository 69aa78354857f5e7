"""Conversations are read once while the lake stays as it is, and anew once it has changed."""

from __future__ import annotations

from pathlib import Path

from dashboard.conversations import Conversations
from mmer_ray.lake.heard_speakers import Rename
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.speaker_edits import edit_speakers
from tests.dashboard.lakes import call_lake


def test_one_is_kept_until_the_lake_changes_and_few_are_kept(tmp_path: Path) -> None:
    lake = call_lake(tmp_path, (12.0, 14.0))
    with open_lake(lake.address) as reader:
        first, second = reader.rows("SELECT * FROM recordings ORDER BY uri", {})
        kept = Conversations(reader, max_kept=1)
        found = kept.of(first)
        assert kept.of(first) is found
        kept.of(second)
        assert kept.of(first) is not found
        edit_speakers(lake, "call_0.wav", Rename("S1", "Ann"), "tester")
        reader.refresh()
        assert "Ann" in {one.called for one in kept.of(first).utterances}
