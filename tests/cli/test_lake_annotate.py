"""`mmer lake annotate`: what it says, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.makers import Ended
from tests.lake.recounts import recounted_lake
from tests.training.corpora.makers import write_csv

Run = Callable[..., Ended]


def test_labels_come_in_by_a_command_and_what_is_wrong_is_a_usage_error(mmer: Run, tmp_path: Path) -> None:
    lake = recounted_lake(tmp_path)[0].address
    table = write_csv(tmp_path / "labels.csv", ["recording,utterance_idx,label", "talk,0,sad", "talk,1,happy"])
    nobody = mmer("lake", "annotate", str(table), "--lake", lake)
    assert (nobody.code, nobody.out) == (2, "")
    assert "labels.csv:2: nobody is named as rater" in nobody.err
    done = mmer("lake", "annotate", str(table), "--lake", lake, "--rater", "ann")
    assert (done.code, done.out) == (0, "2 labels brought in; 0 were there already\n")
    again = json.loads(mmer("lake", "annotate", str(table), "--lake", lake, "--rater", "ann", "--json").out)
    assert (again["schema"], again["num_new"], again["num_known"]) == ("mmer.annotate/1", 0, 2)
    found = mmer("query", "SELECT label FROM annotations ORDER BY utterance_idx", "--lake", lake, "--format", "csv")
    assert found.out.splitlines()[1:] == ["sad", "happy"]
