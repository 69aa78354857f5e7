"""What the lake knows about audio that comes again: by size, by recording_id."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import duckdb

from mmer_ray.tables import FINGERPRINT_COLUMNS, FINGERPRINT_STAGES, Row

SAME_STAGES = " AND ".join(f"{column} = ${column}" for column in FINGERPRINT_COLUMNS)
"""The condition that a row was made by the stages at hand; its parameters come from `stage_parameters`."""

BY_SIZE = f"""
    SELECT DISTINCT recording_id, result_commit_id FROM recordings
    WHERE status = 'scored' AND {SAME_STAGES} AND size_bytes IN (SELECT unnest($sizes::BIGINT[]))
"""  # noqa: S608

BY_ID = """
    SELECT * FROM recordings
    WHERE status = 'scored' AND recording_id IN (SELECT unnest($recording_ids::VARCHAR[]))
    ORDER BY is_copy, corpus, uri
"""


def stage_parameters(fingerprints: Mapping[str, str]) -> dict[str, str]:
    """The parameters of `SAME_STAGES`."""
    return {f"{stage}_fingerprint": fingerprints[stage] for stage in FINGERPRINT_STAGES}


def known_results(
    connection: duckdb.DuckDBPyConnection, fingerprints: Mapping[str, str], sizes: Collection[int]
) -> dict[str, str]:
    """recording_id -> result_commit_id of the audio of these sizes that these stages have scored. Equal bytes
    have equal sizes, so nothing else can come again."""
    parameters = {**stage_parameters(fingerprints), "sizes": list(sizes)}
    return dict(connection.execute(BY_SIZE, parameters).fetchall())


def known_rows(connection: duckdb.DuckDBPyConnection, recording_ids: Collection[str]) -> dict[str, Row]:
    """recording_id -> one row of `recordings`, ready to be written again; the first file's rather than a copy's."""
    relation = connection.sql(BY_ID, params={"recording_ids": list(recording_ids)})
    rows: dict[str, Row] = {}
    for row in relation.to_arrow_table().to_pylist():
        rows.setdefault(row["recording_id"], row)
    return rows
