"""Speakers of one recording counted again, from what the lake kept of its voices: `mmer recluster`.

The new count is a hearing of its own beside the old one: its `heard_key` is made of that of the old one, its
`source_key`, and of the options. It becomes the one that the recording's files name. Emotions are carried over by
utterance, every scorer's; measures are made again. A scorer that adapts to speakers had the earlier ones in mind.

What people edited about the speakers of the old hearing (`speaker_edits.py`) stays with it.

A later job leaves the new count in place: it takes a hearing that was made of the wanted one for the wanted one
(`planner.py`). A job whose profile hears anew, with another model or option before emotion, has a new answer to who
speaks; it says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mmer_ray.diarizers.speaker_count import BETWEEN_WINDOWS_THRESHOLD, SAME_VOICE_THRESHOLD
from mmer_ray.errors import UsageError
from mmer_ray.lake.answer_tables import measure_columns, turns_table, utterances_table, words_table
from mmer_ray.lake.batch import stamped
from mmer_ray.lake.columns import milliseconds, split_ms
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.edited_speakers import edits_of, in_force
from mmer_ray.lake.known import known_answers
from mmer_ray.lake.one_hearing import CALLS, HEARD, OF_HEARING, RESULTS
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.views import connect
from mmer_ray.profiles import DiarizeOptions, JoinOptions, LinkOptions
from mmer_ray.records import KeptPieces, Recording, ScoredRecording, WindowPieces
from mmer_ray.stages.link import link
from mmer_ray.stages.recount import VERSION, Counting, recount
from mmer_ray.tables import SCHEMAS, Row

if TYPE_CHECKING:
    import duckdb

    from mmer_ray.lake.store import Lake

PIECES = f"FROM internal.pieces {HEARD} ORDER BY window_idx"
EMOTIONS = f"FROM internal.emotions WHERE {OF_HEARING} AND commit_id = $commit ORDER BY utterance_idx"
FILES = f"FROM internal.recordings SEMI JOIN internal.current USING (corpus, uri, commit_id) WHERE {OF_HEARING}"
OPTIONS = "SELECT options FROM internal.runs WHERE run_id = $run AND status = 'started'"


@dataclass(frozen=True)
class Recluster:
    """What the user asks for: one of these, or nothing for the count that was there first."""

    speakers: int | None = None
    max_speakers: int | None = None
    threshold: float | None = None

    @property
    def text(self) -> str:
        """The options that are given, as JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})


@dataclass(frozen=True)
class Reclustered:
    """What became of a recording."""

    recording_id: str
    uri: str
    heard_key: str
    """The hearing that its files name now."""
    num_speakers: int
    num_speakers_before: int
    num_files: int
    """Files that showed the earlier count: copies, and those of other corpora, among them. 0: nothing had to change."""
    num_edits_left: int = 0
    """Edits of speakers (`mmer speakers`) of the earlier count: they stay with it, and count again when it does."""


def recluster(lake: Lake, name: str, wanted: Recluster) -> Reclustered:
    """Count a recording's speakers again; without an option, go back to the count of the job that scored it.

    Raises `SourceError` for a name that fits no recording or several, `UsageError` for one that failed, whose pieces
    the lake does not have or that cannot be parted so, `LakeError` where there is no lake or another job writes it.
    """
    lake.require_existing()
    with lake.lock():
        reader = LakeReader(lake)
        try:
            row = reader.find_recording(name)
        finally:
            reader.close()
        if row["status"] != "scored":
            raise UsageError(f"{row['uri']} failed ({row['error_code']}), so it has no speakers")
        lake.create()
        with connect(lake) as connection:
            return _Hearing(lake, connection, row).counted(wanted)


class _Hearing:
    """What the files of a recording show now, and the hearing that it was made of."""

    def __init__(self, lake: Lake, connection: duckdb.DuckDBPyConnection, row: Row) -> None:
        self._lake, self._connection, self._row = lake, connection, row
        self._recording, self._shown = str(row["recording_id"]), str(row["heard_key"])
        (shown,) = self._select(RESULTS, self._shown).to_pylist()
        self._source = str(shown["source_key"] or self._shown)
        self._num_before = int(shown["num_speakers"])
        found = self._select(RESULTS, self._source).to_pylist()
        if not found:
            raise UsageError(f"a speaker of {row['uri']} was erased, so its speakers cannot be counted again")
        (self._results,) = found

    def counted(self, wanted: Recluster) -> Reclustered:
        """Write the new count, where the lake does not have it, and let the files name it."""
        tables: dict[str, pa.Table] = {}
        target, num_speakers = self._source, int(self._results["num_speakers"])
        if wanted != Recluster():
            target = _derived_key(self._source, wanted)
            if counted := self._select(RESULTS, target).to_pylist():
                num_speakers = int(counted[0]["num_speakers"])
            else:
                scored = self._recounted(wanted)
                num_speakers, tables = scored.num_speakers, self._tables(scored, wanted)
        files = self._select(FILES, self._shown)
        if target != self._shown:
            SingleCommit.begin(self._lake).write(self._lake, tables | {"recordings": files}, {"heard_key": target})
        changed = files.num_rows if target != self._shown else 0
        left = len(in_force(edits_of(self._connection, self._recording, self._shown))) if changed else 0
        return Reclustered(self._recording, self._row["uri"], target, num_speakers, self._num_before, changed, left)

    def _recounted(self, wanted: Recluster) -> ScoredRecording:
        pieces = [_window(row) for row in self._select(PIECES, self._source).to_pylist()]
        if not pieces:
            raise UsageError(
                f"the lake has nothing to count the speakers of {self._row['uri']} from: each of its channels is a "
                "speaker, or it was scored with another diarizer than `segmentation`, with given turns, or by an "
                "earlier version of mmer; `mmer score` with the default profile keeps it from now on"
            )
        known = self._known(scorer="")
        return recount(known, pieces, self._counting(wanted))

    def _known(self, scorer: str) -> ScoredRecording:
        found = known_answers(self._connection, self._source, scorer, {self._recording: "link"})
        return replace(found[self._recording], recording=Recording(self._row["uri"]))

    def _counting(self, wanted: Recluster) -> Counting:
        """The options of the run that scored it, but for what is asked for."""
        found = self._connection.execute(OPTIONS, {"run": self._results["run_id"]}).fetchall()
        options: Mapping[str, Any] = json.loads(found[0][0]) if found else {}
        diarize = DiarizeOptions.model_validate(options.get("diarize", {}))
        join = JoinOptions.model_validate(options.get("join", {}))
        return Counting(
            threshold=wanted.threshold or diarize.distance_threshold or SAME_VOICE_THRESHOLD,
            between_windows=join.distance_threshold or BETWEEN_WINDOWS_THRESHOLD,
            max_speakers=wanted.max_speakers or diarize.max_speakers,
            num_speakers=wanted.speakers,
        )

    def _tables(self, scored: ScoredRecording, wanted: Recluster) -> dict[str, pa.Table]:
        """The rows of the new count, without the names of hearing and commit."""
        said = [(0, index, one) for index, one in enumerate(scored.utterances)]
        place = {name: self._results[name] for name in ("recording_id", "corpus", "month", "day")}
        place |= dict.fromkeys(("heard_key", "run_id", "commit_id"))
        children = {
            "utterances": utterances_table(said),
            "words": words_table(said),
            "turns": turns_table([(0, index, turn) for index, turn in enumerate(scored.turns)]),
        }
        _, speech_ms, non_speech_ms = split_ms(
            self._results["duration_ms"] / 1000, scored.speech_s, scored.non_speech_s
        )
        results = self._results | {
            "speech_ms": speech_ms,
            "non_speech_ms": non_speech_ms,
            "overlap_ms": milliseconds(scored.overlap_s),
            "num_speakers": scored.num_speakers,
            "source_key": self._source,
            "recluster": wanted.text,
        }
        tables = {name: stamped(name, table, place) for name, table in children.items()}
        tables["results"] = pa.Table.from_pylist([results], schema=SCHEMAS["results"])
        return tables | self._felt(scored)

    def _felt(self, scored: ScoredRecording) -> dict[str, pa.Table]:
        """Emotions as every scorer gave them, and measures made of them and of the new speakers."""
        emotions, calls = [SCHEMAS["emotions"].empty_table()], [SCHEMAS["calls"].empty_table()]
        for row in self._select(CALLS, self._source).to_pylist():
            felt = self._known(row["scorer"]).utterances
            pairs = zip(scored.utterances, felt, strict=True)
            with_emotions = tuple(replace(one, emotions=other.emotions) for one, other in pairs)
            linked = link(
                replace(scored, utterances=with_emotions), LinkOptions(channel_roles=tuple(row["channel_roles"] or ()))
            )
            measured = {name: column[0] for name, column in measure_columns([linked.measures]).items()}
            plain = {name: one.as_py() if isinstance(one, pa.Scalar) else one for name, one in measured.items()}
            calls.append(pa.Table.from_pylist([row | plain | {"has_emotions": True}], schema=SCHEMAS["calls"]))
            if row["emotions_commit"] is not None:
                of_scorer = self._select(EMOTIONS, self._source, commit=row["emotions_commit"])
                emotions.append(of_scorer.select(SCHEMAS["emotions"].names).cast(SCHEMAS["emotions"]))
        return {"emotions": pa.concat_tables(emotions), "calls": pa.concat_tables(calls)}

    def _select(self, query: str, heard_key: str, **more: str) -> pa.Table:
        found: pa.Table = self._connection.cursor().sql(query, params=self._place(heard_key) | more).to_arrow_table()
        return found

    def _place(self, heard_key: str) -> dict[str, str]:
        return {"recording": self._recording, "heard": heard_key}


def _derived_key(source_key: str, wanted: Recluster) -> str:
    made_of = {"stage": "recluster", "version": VERSION, "before": source_key, "options": wanted.text}
    return blake2b(json.dumps(made_of, sort_keys=True).encode(), digest_size=8).hexdigest()


def _window(row: Row) -> WindowPieces:
    return WindowPieces(
        row["window_idx"],
        row["channel"],
        row["start_sample"],
        row["num_samples"],
        row["one_speaker"],
        KeptPieces(row["num_pieces"], row["embeddings"], row["activity"]),
    )
