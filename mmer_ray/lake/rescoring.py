"""What a rescore has to do: hearings that the lake shows, from the stage on that is asked again. Nothing is listed.

Each hearing is asked under the keys and the profile that it was heard with, which its run has kept, so that a lake of
several profiles stays one. Hearings with the same keys and profile are one portion: a plan, done as a run of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import ProfileError, UsageError
from mmer_ray.lake.columns import values
from mmer_ray.lake.corpus_facts import KNOWN
from mmer_ray.lake.hearings import Hearings, Kind
from mmer_ray.lake.plan import COPIES, TODO, Plan
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
from mmer_ray.lake.visibility import find_wanted
from mmer_ray.profiles import LinkOptions, Profile, setting_stage, stored_profile, with_settings
from mmer_ray.records import Restart
from mmer_ray.sources.present import OwnFolders
from mmer_ray.stages.keys import PARTS, Keys, felt_keys, key_after, keys_of

OF_VERSION_1 = "an earlier version of mmer_ray heard it, under no keys: `mmer rescore --from decode` hears it again"
OTHER_DECODER = "another version of the decoder heard it: `mmer rescore --from decode` hears it again"
UNREADABLE = (
    "its run's options are of another version of mmer_ray: `mmer rescore --from decode --profile NAME` needs none"
)

TODO_ROWS = """
    SELECT picked.*, picked.duration_ms AS expected_ms,
        CASE WHEN $forced THEN $begin ELSE coalesce(reclustered.missing, wanted.missing) END AS restart
    FROM picked
    LEFT JOIN wanted USING (recording_id, heard_key)
    LEFT JOIN reclustered USING (recording_id, heard_key)
    WHERE portion = $portion AND reason IS NULL AND restart <> 'nothing'
    ORDER BY picked.duration_ms DESC, corpus, uri
"""
COPY_ROWS = """
    SELECT corpus, uri, size_bytes, modified, day, duration_ms AS expected_ms, metadata, recording_id
    FROM placed ANTI JOIN (FROM picked WHERE portion = $portion) AS read USING (corpus, uri)
    WHERE portion = $portion AND heard_key <> $heard
    ORDER BY recording_id, corpus, uri
"""
"""The other files of audio that is heard anew: they shall name the new hearing too."""
COUNT = "SELECT count(*) FROM picked WHERE portion = $portion AND reason IS NULL"
LEFT = "SELECT DISTINCT corpus, uri, reason FROM picked WHERE reason IS NOT NULL ORDER BY ALL"
INACTIVE = """
    SELECT DISTINCT corpus FROM placed JOIN internal.active AS active USING (corpus)
    WHERE portion = $portion AND active.scorer <> $scorer ORDER BY corpus
"""


@dataclass(frozen=True)
class Rescoring:
    """What the user asks for."""

    emotion: str | None = None
    """The emotion model, named as in a profile; None: that of the run that heard a recording."""
    stage: str | None = None
    """From here on everything is done again, also what is there; None: emotion, where the model has not answered."""
    profile: Profile | None = None
    """In place of the one that a recording was heard with."""
    settings: tuple[str, ...] = ()
    """`stage.key=value`, for the stages that are done again."""
    corpus: str | None = None
    where: str | None = None
    """A condition in SQL over the view `recordings`."""
    limit: int | None = None
    """At most so many recordings, the longest first."""
    roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `UsageError` for what does not go together."""
        if self.emotion is None and self.stage is None:
            raise UsageError("name an emotion model, --emotion MODEL, or a stage, --from STAGE")
        if self.stage is not None and self.stage not in PARTS:
            raise UsageError(f"--from {self.stage}: no stage is called so; stages are: {', '.join(PARTS)}")
        if self.emotion is not None and self.begin == "link":
            raise UsageError("--from link makes measures again and asks no model: leave --emotion out")
        if self.profile is not None and self.begin != "decode":
            raise UsageError("--profile hears recordings again: name the stage as well, such as --from decode")
        done = {*list(PARTS)[list(PARTS).index(self.stage or "emotion") :], "run"}
        if self.begin == "decode":
            done |= {"vad", *PARTS}
        for setting in self.settings:
            if setting_stage(setting) not in done:
                raise UsageError(f"--set {setting}: that stage is not done again; --from {setting_stage(setting)} does")

    @property
    def begin(self) -> Restart:
        """Where the work on a recording begins. What was heard is kept whole or not at all."""
        stage = self.stage or "emotion"
        return cast(Restart, stage) if stage in ("emotion", "link") else "decode"

    @property
    def is_forced(self) -> bool:
        return self.stage is not None


@dataclass(frozen=True)
class Portion:
    """Hearings that are asked in one run."""

    profile: Profile
    plan: Plan


@dataclass(frozen=True)
class Left:
    """A recording that is not asked again; its answers stay as they are."""

    corpus: str
    uri: str
    reason: str


@dataclass(frozen=True)
class RescorePlan:
    """A rescore, before anything is computed."""

    portions: tuple[Portion, ...] = ()
    """Those with something to do."""
    num_done: int = 0
    """Hearings that the model has answered for already."""
    left: tuple[Left, ...] = ()
    scorers: tuple[str, ...] = ()
    """Names of the emotion models that are asked, or whose measures are made again."""
    inactive: tuple[tuple[str, str], ...] = ()
    """Corpora and the emotion models of these that they do not follow."""


class _Draft(NamedTuple):
    """A portion before its rows are read."""

    profile: Profile
    keys: Keys


def plan_rescore(lake: Lake, wanted: Rescoring) -> RescorePlan:
    """Find what is to be asked again. Reads the lake, and of files whether they are there; writes nothing.

    Raises `UsageError` for a corpus that is not there and a condition that is none, `PreflightError` where a model is
    missing, `LakeError` for a damaged lake.
    """
    with connect(lake) as connection:
        return _Planner(connection, lake.key, wanted).plan()


class _Planner:
    def __init__(self, connection: duckdb.DuckDBPyConnection, key: bytes, wanted: Rescoring) -> None:
        self._connection, self._key, self._wanted = connection, key, wanted
        self._roots = OwnFolders(wanted.roots)
        self._drafts: list[_Draft] = []
        self._index: dict[tuple[str, Keys], int] = {}

    def plan(self) -> RescorePlan:
        wanted = self._wanted
        self._require_corpus()
        hearings = Hearings(self._connection, self._key, wanted.corpus, wanted.where)
        kinds = hearings.kinds(of_each_scorer=wanted.begin == "link")
        portions = [self._portion(kind) for kind in kinds]
        hearings.place(kinds, portions, hears=wanted.begin == "decode", reads=wanted.begin != "link")
        return self._planned()

    def _planned(self) -> RescorePlan:
        left = tuple(Left(*row) for row in self._connection.execute(LEFT).fetchall())
        room, num_done = self._wanted.limit, 0
        portions: list[Portion] = []
        inactive: list[tuple[str, str]] = []
        for index, draft in enumerate(self._drafts):
            plan, num_known = self._portion_plan(index, draft, room)
            num_done += num_known
            inactive += [(corpus, plan.keys.scorer) for corpus in plan.inactive_corpora]
            room = None if room is None else room - plan.todo.num_rows
            if not plan.is_empty:
                portions.append(Portion(draft.profile, plan))
        scorers = dict.fromkeys(draft.keys.scorer for draft in self._drafts)
        return RescorePlan(tuple(portions), num_done, left, tuple(scorers), tuple(sorted(set(inactive))))

    def _require_corpus(self) -> None:
        known = [name for (name,) in self._connection.execute(KNOWN).fetchall()]
        if self._wanted.corpus is not None and self._wanted.corpus not in known:
            raise UsageError(f"no corpus is called {self._wanted.corpus!r}; the lake has: {', '.join(known) or 'none'}")

    def _portion(self, kind: Kind) -> int | str:
        """The portion of hearings of this kind, or why they cannot be asked. Raises `ProfileError` for a setting."""
        try:
            own = self._wanted.profile or _own_profile(kind)
        except ProfileError:
            return UNREADABLE if kind.keys else OF_VERSION_1
        profile = self._changed(own)
        if self._wanted.begin == "decode":
            keys = keys_of(profile)
        elif (heard := _run_keys(kind)) is None:
            return OF_VERSION_1
        elif self._wanted.begin == "link":
            assert kind.scorer is not None
            link_key = key_after(str(kind.emotion_key), "link", profile)
            known = {"emotion": str(kind.emotion_key), "link": link_key, "scorer": kind.scorer}
            keys = replace(heard, **known, channel_roles=profile.link.channel_roles)
        elif heard.decode != key_after("", "decode", profile):
            return OTHER_DECODER
        else:
            keys = felt_keys(heard, profile)
        name = profile.model_dump_json(), keys
        if name not in self._index:
            self._index[name] = len(self._drafts)
            self._drafts.append(_Draft(profile, keys))
        return self._index[name]

    def _changed(self, profile: Profile) -> Profile:
        """The same profile with the emotion model and the settings that are asked for."""
        if self._wanted.emotion is not None:
            emotion = profile.emotion.model_copy(update={"model": self._wanted.emotion})
            profile = profile.model_copy(update={"emotion": emotion})
        return with_settings(profile, self._wanted.settings)

    def _portion_plan(self, index: int, draft: _Draft, room: int | None) -> tuple[Plan, int]:
        """The plan of a portion, at most `room` recordings, and how many of its hearings need nothing."""
        keys, place = draft.keys, {"portion": index}
        find_wanted(self._connection, keys)
        asked = {"forced": self._wanted.is_forced, "begin": self._wanted.begin}
        ((num_all,),) = self._connection.execute(COUNT, place).fetchall()
        found = self._rows(TODO_ROWS, place | asked)
        num_known = num_all - found.num_rows
        found = found.slice(0, room)
        copies, inactive = COPIES.empty_table(), []
        if self._wanted.begin == "decode":
            others = self._rows(COPY_ROWS, place | {"heard": keys.heard})
            is_heard = pc.is_in(others["recording_id"], value_set=found["recording_id"].combine_chunks())
            copies = self._placed(others.filter(is_heard), keys, COPIES)
        if self._wanted.begin != "link":
            inactive = self._connection.execute(INACTIVE, place | {"scorer": keys.scorer}).fetchall()
        plan = Plan(
            keys=keys,
            todo=self._placed(found, keys, TODO),
            copies=copies,
            num_listed=num_all,
            num_done=num_known,
            num_recounted=self._num_recounted(found),
            inactive_corpora=tuple(name for (name,) in inactive),
            is_rescore=True,
        )
        return plan, num_known

    def _rows(self, query: str, parameters: dict[str, Any]) -> pa.Table:
        found: pa.Table = self._connection.sql(query, params=parameters).to_arrow_table()
        return found

    def _num_recounted(self, found: pa.Table) -> int:
        return values(found, "is_recounted").count(True) if self._wanted.begin == "decode" else 0

    def _placed(self, rows: pa.Table, keys: Keys, schema: pa.Schema) -> pa.Table:
        """Rows of the lake as a plan has them."""
        hears, count = self._wanted.begin == "decode", rows.num_rows
        more: dict[str, Any] = {
            "root": pa.array([self._roots.root_of(uri) for uri in values(rows, "uri")], pa.string()),
            "attempt": pa.repeat(1, count),
            "needs_row": pa.repeat(hears, count),
            "is_known": pa.repeat(pa.scalar(False), count),
        }
        if hears:
            more["heard_key"] = pa.repeat(keys.heard, count)
        columns = [more[name] if name in more else rows.column(name) for name in schema.names]
        return pa.table(columns, names=schema.names).cast(schema)


def _own_profile(kind: Kind) -> Profile:
    """The profile of the run that heard them. Names of roles change without a hearing: those that are shown now stay.

    Raises `ProfileError` where this version cannot read it.
    """
    return stored_profile(kind.options).model_copy(update={"link": LinkOptions(channel_roles=kind.roles)})


def _run_keys(kind: Kind) -> Keys | None:
    """The keys of the run that heard them; None where they are not kept, as in version 1."""
    names = {one.name for one in fields(Keys)} - {"channel_roles"}
    if not names <= set(kind.keys) or kind.keys["join"] != kind.base_key:
        return None
    found: dict[str, Any] = {name: kind.keys[name] for name in names}
    return Keys(**found)
