"""Queries for one hearing of one recording, as `$recording` and `$heard` name it; for `views.connect`."""

# The statements are put together from constants.
# ruff: noqa: S608

OF_HEARING = "recording_id = $recording AND heard_key = $heard"
HEARD = f"SEMI JOIN internal.heard USING (recording_id, heard_key, commit_id) WHERE {OF_HEARING}"
RESULTS = f"FROM internal.results {HEARD}"
CALLS = f"""
    SELECT calls.*, emotions_commit FROM internal.calls AS calls JOIN internal.felt AS felt
    USING (recording_id, heard_key, scorer) WHERE calls.commit_id = calls_commit AND {OF_HEARING} ORDER BY scorer
"""
"""The measures of every scorer, the newest of each."""
