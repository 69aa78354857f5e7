"""Recordings that failed, listed from the lake itself, to be tried again: `mmer retry`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from mmer_ray.errors import RETRYABLE, ErrorCode, ProfileError
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_internal
from mmer_ray.profiles import Profile, stored_profile
from mmer_ray.sources.present import OwnFolders, facts_now
from mmer_ray.tables import LISTED, Row
from mmer_ray.transcripts.mark import mark_of

FAILED = """
    SELECT part.corpus, part.uri, part.size_bytes, part.modified, part.day, part.expected_ms, part.metadata,
        part.error_code, coalesce(runs.options, '{}') AS options
    FROM internal.recordings AS part SEMI JOIN internal.current USING (corpus, uri, commit_id)
    LEFT JOIN (SELECT run_id, options FROM internal.runs WHERE status = 'started') AS runs USING (run_id)
    WHERE status = 'failed' AND list_contains($codes, error_code) AND ($corpus IS NULL OR corpus = $corpus)
    ORDER BY corpus, uri
"""
GIVEN = "its words or turns were given: `mmer score --transcripts` tries it again"
UNREADABLE = "another version of mmer_ray wrote its run's options: `mmer retry --profile NAME` needs none"
BATCH_ROWS = 4_096


class Place(NamedTuple):
    """A file as a source lists it now."""

    root: str
    size_bytes: int | None
    """None: as it was."""
    modified: str


@dataclass(frozen=True)
class FailedGroup:
    """Failed recordings that are tried again together."""

    profile: Profile
    """That of the run in which they failed."""
    killed_workers: bool
    """Whether they ended as `worker_crash`: no process that holds others' work may score them."""
    listed: pa.Table
    """Schema `tables.LISTED`: sizes and marks are those of now."""


def failed_groups(
    lake: Lake,
    codes: Collection[ErrorCode],
    corpus: str | None = None,
    among: Mapping[str, Place] | None = None,
    profile: Profile | None = None,
    roots: Iterable[str] = (),
) -> tuple[list[FailedGroup], dict[str, str]]:
    """The recordings that failed with one of these codes, or with any that may pass; and uri -> reason for those that
    cannot be tried from here.

    `among` bounds them to these uris, as their sources list them. Without it each is looked up where it was. `profile`
    replaces those of the runs. Raises `LakeError` for a damaged lake.
    """
    wanted = sorted(str(code) for code in (codes or RETRYABLE))
    with connect_internal(lake) as connection:
        rows: list[Row] = (
            connection.sql(FAILED, params={"codes": wanted, "corpus": corpus}).to_arrow_table().to_pylist()
        )
    if among is not None:
        rows = [row for row in rows if row["uri"] in among]
    left: dict[str, str] = {}
    groups: dict[tuple[str, bool], list[Row]] = {}
    profiles: dict[str, Profile | None] = {}
    for row in rows:
        options = row["options"]
        if options not in profiles:
            profiles[options] = profile or _profile(options)
        if mark_of(row["modified"]) is not None:
            left[row["uri"]] = GIVEN
        elif (own := profiles[options]) is None:
            left[row["uri"]] = UNREADABLE
        else:
            killed = row["error_code"] == ErrorCode.WORKER_CRASH
            groups.setdefault((own.model_dump_json(), killed), []).append(row)
    places = among or _places([row["uri"] for some in groups.values() for row in some], OwnFolders(tuple(roots)))
    found = [
        FailedGroup(Profile.model_validate_json(name), killed, _listed(some, places))
        for (name, killed), some in groups.items()
    ]
    return found, left


def _profile(options: str) -> Profile | None:
    try:
        return stored_profile(options)
    except ProfileError:
        return None


def _places(uris: list[str], folders: OwnFolders) -> dict[str, Place]:
    """Where files are that no source lists; those that are gone are left out."""
    facts = facts_now(uris)
    return {
        uri: Place(folders.root_of(uri), *found) for uri, found in zip(uris, facts, strict=True) if found is not None
    }


def _listed(rows: list[Row], places: Mapping[str, Place]) -> pa.Table:
    return pa.Table.from_pylist([_now(row, places.get(row["uri"])) for row in rows], schema=LISTED)


def _now(row: Row, place: Place | None) -> Row:
    """A row of the lake as a listing would have it; as it was, where the file is gone: opening it says so."""
    now = {name: row[name] for name in LISTED.names if name != "root"} | {"root": ""}
    if place is None:
        return now
    size_bytes = row["size_bytes"] if place.size_bytes is None else place.size_bytes
    return now | {"root": place.root, "size_bytes": size_bytes, "modified": place.modified}
