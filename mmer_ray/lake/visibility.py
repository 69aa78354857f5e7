"""What of a lake is visible, all of it in this file; `table_rows.py` reads the files.

- A row exists once its commit is listed in `commits`; the views of `internal` hold no other rows.
- Of a (corpus, uri) the newest row of `recordings` counts: `internal.current`.
- A current, scored row names results by (recording_id, heard_key). Of results, emotions and measures that were written
  twice the newest count: `internal.heard`, `internal.felt`.
- Each corpus sees the results that its own recordings name, and the active scorer that it was given:
  `internal.shown`, one row per (corpus, recording_id).

Rows of version 1 have no heard_key; there the results belong to a commit, whose name takes its place: it never equals
a key that is wanted. Their active scorer is the one that answered last, as it was.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys


def newest_recordings(rows: str) -> str:
    """The newest committed row of each (corpus, uri) in the schema `rows`."""
    return f"""
        SELECT corpus, uri, unnest(max_by(
            {{commit_id: commit_id, recording_id: recording_id, status: status, heard_key: heard_key, day: day,
             month: month, size_bytes: size_bytes, modified: modified, attempts: attempts, error_code: error_code,
             decode_key: decode_key, limits_key: limits_key, sequence: sequence,
             of_version_1: result_commit_id IS NOT NULL}},
            sequence))
        FROM {rows}.recordings JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
        GROUP BY corpus, uri
    """


def newest_results(rows: str) -> str:
    """Which commit holds the results of audio under a key, and the hearing that they were made of, if they were."""
    return f"""
        SELECT recording_id, heard_key, max_by(commit_id, sequence) AS commit_id,
            max_by(duration_ms, sequence) AS duration_ms, max(source_key) AS source_key
        FROM {rows}.results JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
        GROUP BY recording_id, heard_key
    """


def newest_answers(rows: str) -> str:
    """Which commits hold a scorer's emotions for what was heard, and the measures that were made from them."""
    return f"""
        SELECT recording_id, heard_key, scorer, unnest(max_by(
                {{calls_commit: commit_id, emotion_key: emotion_key, link_key: link_key, channel_roles: channel_roles,
                 sequence: sequence}}, sequence)),
            max_by(commit_id, sequence) FILTER (has_emotions) AS emotions_commit
        FROM {rows}.calls JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
        GROUP BY recording_id, heard_key, scorer
    """


def followed_scorers(rows: str) -> str:
    """The emotion model that each corpus follows."""
    return f"""
        SELECT corpus, max_by(scorer, sequence) AS scorer
        FROM {rows}.active_scorers JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id)
        GROUP BY corpus
    """


NEWEST = {
    "current": newest_recordings,
    "heard": newest_results,
    "felt": newest_answers,
    "active": followed_scorers,
}
"""Tables of `internal` that hold what counts of the rows of all commits, by the statement that makes each."""

ACTIVE_OF_VERSION_1 = (
    "CREATE TABLE internal.active_of_version_1 AS "
    "SELECT max_by(scorer, sequence) AS scorer FROM commits WHERE num_results IS NULL AND scorer IS NOT NULL"
)


def shown(recordings: str = "true") -> str:
    """What each corpus sees of each recording: which results, the active scorer, and whose measures (`scorer`).

    The measures are the active scorer's, or those of the one that answered last where it has not answered. A corpus in
    which two files with the same bytes name different results sees those named last. Day and month are those of the
    corpus's own file. `recordings` is a condition on `recording_id`: these alone.
    """
    return f"""
        WITH named AS (
            SELECT corpus, recording_id, unnest(max_by(
                {{heard_key: heard_key, day: day, month: month, of_version_1: of_version_1}}, sequence))
            FROM internal.current WHERE status = 'scored' AND {recordings}
            GROUP BY corpus, recording_id
        ), followed AS (
            SELECT named.corpus, named.recording_id, named.heard_key, named.day, named.month,
                heard.commit_id AS heard_commit, CASE
                WHEN of_version_1 AND own.scorer IS NULL THEN (SELECT scorer FROM internal.active_of_version_1)
                ELSE active.scorer
            END AS active_scorer
            FROM named
            JOIN internal.heard AS heard USING (recording_id, heard_key)
            LEFT JOIN internal.active AS active USING (corpus)
            LEFT JOIN internal.felt AS own ON own.recording_id = named.recording_id
                AND own.heard_key = named.heard_key AND own.scorer = active.scorer
        )
        SELECT followed.*, felt.scorer, felt.calls_commit, felt.channel_roles
        FROM followed LEFT JOIN internal.felt AS felt USING (recording_id, heard_key)
        QUALIFY row_number() OVER (
            PARTITION BY corpus, recording_id
            ORDER BY (felt.scorer = active_scorer) DESC NULLS LAST, felt.sequence DESC NULLS LAST, felt.scorer
        ) = 1
    """


_OF_CORPUS = "shown.corpus AS corpus, shown.month AS month, shown.day AS day"
_OF_SHOWN = """
    JOIN internal.shown AS shown
    ON shown.recording_id = part.recording_id AND shown.heard_key = part.heard_key
"""

VIEWS = {
    "recordings": """
        SELECT part.* EXCLUDE (duration_ms, channels, sample_rate_hz, codec, container, speech_ms, non_speech_ms,
                overlap_ms, num_speakers, language, language_p, result_commit_id)
            REPLACE (list_sort(list_distinct(list_concat(part.flags, coalesce(found.flags, [])))) AS flags),
            coalesce(found.duration_ms, part.duration_ms) AS duration_ms,
            coalesce(found.channels, part.channels) AS channels,
            coalesce(found.sample_rate_hz, part.sample_rate_hz) AS sample_rate_hz,
            coalesce(found.codec, part.codec) AS codec,
            coalesce(found.container, part.container) AS container,
            coalesce(found.speech_ms, part.speech_ms) AS speech_ms,
            coalesce(found.non_speech_ms, part.non_speech_ms) AS non_speech_ms,
            coalesce(found.overlap_ms, part.overlap_ms) AS overlap_ms,
            coalesce(found.num_speakers, part.num_speakers) AS num_speakers,
            coalesce(found.language, part.language) AS language,
            CASE WHEN coalesce(found.language, part.language) IS NOT NULL
                THEN coalesce(found.language_p, part.language_p) END AS language_p
        FROM internal.recordings AS part
        SEMI JOIN internal.current USING (corpus, uri, commit_id)
        LEFT JOIN (FROM internal.results SEMI JOIN internal.heard USING (recording_id, heard_key, commit_id)) AS found
        ON part.status = 'scored' AND found.recording_id = part.recording_id AND found.heard_key = part.heard_key
    """,
    "results": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.results AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "utterances": f"""
        SELECT part.* REPLACE (
            {_OF_CORPUS},
            coalesce(CASE WHEN part.speaker_is_channel THEN shown.channel_roles[part.channel + 1] END, part.role)
                AS role
        ) FROM internal.utterances AS part {_OF_SHOWN} AND shown.heard_commit = part.commit_id
    """,
    "words": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.words AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "turns": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.turns AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "pieces": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.pieces AS part {_OF_SHOWN}"
    " AND shown.heard_commit = part.commit_id",
    "emotions": f"""
        SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.emotions AS part {_OF_SHOWN}
        LEFT JOIN internal.felt AS felt
        ON felt.recording_id = part.recording_id AND felt.heard_key = part.heard_key AND felt.scorer = part.scorer
        WHERE part.commit_id = coalesce(felt.emotions_commit, part.commit_id)
    """,
    "active_emotions": """
        SELECT part.* FROM emotions AS part SEMI JOIN internal.shown AS shown
        ON shown.corpus = part.corpus AND shown.recording_id = part.recording_id
            AND shown.active_scorer = part.scorer
    """,
    "calls": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.calls AS part {_OF_SHOWN}"
    " AND shown.scorer = part.scorer AND shown.calls_commit = part.commit_id",
    "active_scorers": """
        SELECT * FROM internal.active_scorers SEMI JOIN commits USING (commit_id)
        QUALIFY row_number() OVER (PARTITION BY corpus ORDER BY activated_at DESC) = 1
    """,
    "corpus_facts": """
        SELECT corpus, max_by(legal_basis, sequence) FILTER (legal_basis IS NOT NULL) AS legal_basis,
            max_by(notice_given, sequence) FILTER (notice_given IS NOT NULL) AS notice_given,
            max_by(stated_by, sequence) AS stated_by, max(stated_at) AS stated_at,
            max_by(run_id, sequence) AS run_id, max_by(commit_id, sequence) AS commit_id
        FROM internal.corpus_facts JOIN (SELECT commit_id, sequence FROM commits) USING (commit_id) GROUP BY corpus
    """,
    "speaker_edits": f"SELECT part.* REPLACE ({_OF_CORPUS}) FROM internal.speaker_edits AS part {_OF_SHOWN}",
    "annotations": f"""
        SELECT part.* REPLACE ({_OF_CORPUS}), part.corpus AS written_in
        FROM internal.annotations AS part JOIN commits USING (commit_id)
        JOIN internal.shown AS shown ON shown.recording_id = part.recording_id
        QUALIFY row_number() OVER (
            PARTITION BY shown.corpus, part.recording_id, part.heard_key, part.utterance_idx, part.rater
            ORDER BY commits.sequence DESC
        ) = 1 AND coalesce(part.label, part.verdict, part.text) IS NOT NULL
    """,
    "erasures": "SELECT * FROM internal.erasures",
    "runs": """
        SELECT * EXCLUDE (num_copied, fingerprints) REPLACE (coalesce(num_copies, num_copied) AS num_copies,
            coalesce(keys, fingerprints) AS keys)
        FROM internal.runs
        QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY status = 'started', written_at DESC) = 1
    """,
}
"""What readers may name beside `commits`. `calls` has one row per recording; `emotions` has every scorer's answers,
`annotations` those of every hearing: people's labels outlive it. They stand in every corpus that has the audio;
`written_in` is the corpus in which the person said it."""


_MISSING = """
    SELECT heard.recording_id, heard.heard_key, heard.duration_ms, CASE
            WHEN felt.emotion_key IS DISTINCT FROM $emotion THEN 'emotion'
            WHEN felt.link_key IS DISTINCT FROM $link OR felt.channel_roles IS DISTINCT FROM $roles::VARCHAR[]
                THEN 'link'
            ELSE 'nothing'
        END AS missing
    FROM internal.heard AS heard
    LEFT JOIN internal.felt AS felt
    ON felt.recording_id = heard.recording_id AND felt.heard_key = heard.heard_key AND felt.scorer = $scorer
"""
WANTED = f"CREATE OR REPLACE TEMP TABLE wanted AS {_MISSING} WHERE heard.heard_key = $heard"
RECLUSTERED = f"CREATE OR REPLACE TEMP TABLE reclustered AS {_MISSING} WHERE heard.source_key = $heard"


def find_wanted(connection: duckdb.DuckDBPyConnection, keys: Keys) -> None:
    """Make the table `wanted`: the audio that was heard under these keys (recording_id, heard_key, duration_ms) and the
    first step that it lacks (`missing`: `emotion`, `link` or `nothing`); and the table `reclustered`, the same of what
    was made of such a hearing."""
    names = ("emotion", "link", "scorer", "heard")
    roles = {"roles": list(keys.channel_roles)}
    for statement in (WANTED, RECLUSTERED):
        connection.execute(statement, {name: getattr(keys, name) for name in names} | roles)


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"
