"""What dashboards read is what the lake says: after anything that may happen to it, stored or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.activation import activate
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.rewrite import replace_rows
from mmer_ray.lake.vacuum import vacuum
from mmer_ray.tables import SCHEMAS
from tests.lake.makers import KEYS, audio_file, job, listing, newer, recording_at
from tests.lake.recounts import recounted_lake
from tests.lake.serving_rows import num_stored, require_true
from tests.slow import slow_but

PLACE = {"corpus": "calls", "month": "2026-11"}


class Nights:
    """A lake to which things happen. `talk.wav` can be counted again."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.lake, _ = recounted_lake(folder)
        self.audio, self._chance, self._num = folder / "audio", random.Random(seed), 0
        self._keys, self._is_heard_anew = KEYS, False

    def add(self) -> None:
        """New files are scored."""
        for _ in range(2):
            self._num += 1
            audio_file(self.audio, f"{self._num}.wav")
        job(self.lake, listing(self.audio), self._keys)

    def add_other(self) -> None:
        """Another corpus has the same audio."""
        job(self.lake, listing(self.audio, "other"), self._keys)

    def add_day(self) -> None:
        """The same audio under another name, of a day in another month."""
        self._num += 1
        path = audio_file(self.audio / "later", f"{self._num}.wav", (self.audio / "talk.wav").read_bytes())
        job(self.lake, [replace(recording_at(path, self.audio), day="2026-12-01")], self._keys)

    def fail(self) -> None:
        """A file that was scored changes, and is empty now."""
        name = f"{self._chance.randint(1, max(self._num, 1))}.wav"
        path = audio_file(self.audio, name, b"x" * self._chance.randint(10_000, 99_999))
        job(self.lake, [recording_at(path, self.audio)], self._keys, {name: ErrorCode.EMPTY_FILE})

    def hear_anew(self) -> None:
        """One of the corpora hears everything with another transcriber."""
        self._is_heard_anew = True
        job(self.lake, listing(self.audio), newer("transcribe", version=str(self._chance.random())))

    def feel_anew(self) -> None:
        """Another emotion model answers, but not for `talk.wav` and its copies; nobody follows it yet."""
        talk = (self.audio / "talk.wav").stat().st_size
        job(self.lake, [one for one in listing(self.audio) if one.size_bytes != talk], newer("emotion"))

    def name_roles(self) -> None:
        """Channels get roles."""
        self._keys = replace(KEYS, channel_roles=self._chance.choice([(), ("agent", "customer"), ("a", "b")]))
        job(self.lake, listing(self.audio), self._keys)

    def follow(self) -> None:
        """The corpora follow another model, where it has answered."""
        with open_lake(self.lake.address) as reader:
            scorers = sorted({row["scorer"] for row in reader.sql("SELECT scorer FROM emotions").to_pylist()})
        activate(self.lake, self._chance.choice(scorers))

    def recount(self) -> None:
        """A recording's speakers are counted again."""
        if not self._is_heard_anew:
            recluster(self.lake, self._talk(), Recluster(speakers=self._chance.choice([2, 3])))

    def go_back(self) -> None:
        """The first count is the one that is shown again."""
        if not self._is_heard_anew:
            recluster(self.lake, self._talk(), Recluster())

    def compact(self) -> None:
        compact(self.lake, self._chance.choice([None, None, "calls"]))

    def vacuum(self) -> None:
        vacuum(self.lake, 0)

    def _talk(self) -> str:
        with open_lake(self.lake.address) as reader:
            found = reader.sql("SELECT recording_id FROM recordings WHERE uri LIKE '%talk.wav'").to_pylist()
        return str(found[0]["recording_id"])


STEPS: list[Callable[[Nights], None]] = [
    Nights.add, Nights.add_other, Nights.add_day, Nights.fail, Nights.hear_anew, Nights.feel_anew, Nights.name_roles,
    Nights.follow, Nights.recount, Nights.go_back, Nights.compact, Nights.compact, Nights.compact, Nights.vacuum,
]  # fmt: skip


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    nights = Nights(tmp_path)
    nights.add()
    compact(nights.lake)
    return nights


@pytest.mark.parametrize("seed", slow_but(range(4), [0]))
def test_whatever_happens_the_views_say_what_the_lake_says(seed: int, tmp_path: Path) -> None:
    chance, nights = random.Random(seed), Nights(tmp_path, seed)
    for step in chance.choices(STEPS, k=10):
        step(nights)
        require_true(nights.lake.address)
    compact(nights.lake)
    require_true(nights.lake.address)
    assert num_stored(nights.lake.address)[1] == 0, "after a compaction nothing is computed anew"


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    slow_but(sorted(set(STEPS) - {Nights.compact, Nights.vacuum}, key=STEPS.index), [Nights.feel_anew, Nights.recount]),
)
def test_after_each_change_only_what_changed_is_computed_anew(step: Callable[[Nights], None], nights: Nights) -> None:
    num_built, num_changed = num_stored(nights.lake.address)
    assert (num_built, num_changed) == (3, 0)
    step(nights)
    require_true(nights.lake.address)
    compact(nights.lake)
    require_true(nights.lake.address)
    assert num_stored(nights.lake.address)[1] == 0


@pytest.mark.slow
def test_a_new_night_leaves_the_stored_rows_as_they_are(nights: Nights) -> None:
    nights.add()
    assert num_stored(nights.lake.address) == (3, 2)


@pytest.mark.slow
def test_a_lake_that_was_never_compacted_is_computed(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    nights.add()
    require_true(nights.lake.address)
    with open_lake(nights.lake.address) as reader:
        assert reader.sql("FROM serving_sources").num_rows == 0


@pytest.mark.slow
def test_an_edit_of_speakers_makes_its_recording_computed(nights: Nights) -> None:
    with open_lake(nights.lake.address) as reader:
        row = reader.sql("FROM results WHERE corpus = 'calls' ORDER BY recording_id LIMIT 1").to_pylist()[0]
    edit = {name: row[name] for name in ("recording_id", "corpus", "month", "day", "heard_key")}
    edit |= {"edit_id": "1", "action": "rename", "speaker": "S1", "target": "Ann", "edited_at": datetime.now(UTC)}
    with nights.lake.lock():
        tables = {"speaker_edits": pa.Table.from_pylist([edit], schema=SCHEMAS["speaker_edits"])}
        SingleCommit.begin(nights.lake).write(nights.lake, tables)
    assert num_stored(nights.lake.address) == (3, 1)
    require_true(nights.lake.address)
    compact(nights.lake)
    assert num_stored(nights.lake.address) == (3, 0)
    require_true(nights.lake.address)


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_but(["serving_utterances", "day_rollup", "serving_sources"], ["day_rollup"]))
def test_a_table_that_lost_rows_or_is_of_another_build_is_not_believed(name: str, nights: Nights) -> None:
    (file,) = nights.lake.files(name)
    rows = pq.read_table(file.path, partitioning=None)
    replace_rows(nights.lake, name, iter(rows.slice(1).to_batches()), "run", PLACE)
    require_true(nights.lake.address)
    other = rows.set_column(rows.column_names.index("build_id"), "build_id", pa.array(["other"] * rows.num_rows))
    replace_rows(nights.lake, name, iter(other.to_batches()), "run", PLACE)
    require_true(nights.lake.address)
    compact(nights.lake)
    require_true(nights.lake.address)
    assert num_stored(nights.lake.address) == (3, 0)


@pytest.mark.slow
def test_rows_that_were_erased_from_the_tables_of_dashboards_are_not_in_their_sums(nights: Nights) -> None:
    """As an erasure does it: the recording leaves every table, the sums of its day are those of the others."""
    with open_lake(nights.lake.address) as reader:
        names = reader.sql("SELECT recording_id FROM recordings ORDER BY commit_id").to_pylist()
    gone = names[1]["recording_id"]
    for name in SCHEMAS:
        if "recording_id" in SCHEMAS[name].names and (files := nights.lake.files(name)):
            (file,) = files
            rows = pq.read_table(file.path, partitioning=None)
            kept = rows.filter(pc.field("recording_id") != gone)
            replace_rows(nights.lake, name, iter(kept.to_batches()), "run", PLACE)
    require_true(nights.lake.address)
    with open_lake(nights.lake.address) as reader:
        assert reader.sql("FROM serving_utterances WHERE recording_id = $name", {"name": gone}).num_rows == 0


@pytest.mark.slow
def test_days_are_counted_by_call_and_by_file(nights: Nights) -> None:
    nights.fail()
    nights.add_other()
    with open_lake(nights.lake.address) as reader:
        rows = reader.sql("FROM day_calls ORDER BY corpus").to_pylist()
        length = "SELECT corpus, sum(duration_ms)::BIGINT AS ms FROM recordings WHERE NOT is_copy GROUP BY 1"
        lengths = {row["corpus"]: row["ms"] for row in reader.sql(length).to_pylist()}
    assert [(row["corpus"], row["num_calls"], row["num_files"], row["num_failed"]) for row in rows] == [
        ("calls", 2, 3, 1), ("other", 3, 3, 0),
    ]  # fmt: skip
    assert rows[0]["duration_ms"] == lengths["calls"]
