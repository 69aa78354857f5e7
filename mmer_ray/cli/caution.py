"""What must be said beside answers that deserve little trust."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer_ray.cli.output import say

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.queries import LakeReader
    from mmer_ray.tables import Row

HEARD_BY = """
    SELECT options FROM runs SEMI JOIN (SELECT run_id FROM internal.recordings WHERE recording_id = $recording) AS part
    USING (run_id) ORDER BY started_at DESC
"""
"""Of the runs that wrote a recording, the newest first. Not all heard it: one may have counted its speakers again."""
FELT_BY = """
    SELECT options FROM runs SEMI JOIN (SELECT run_id FROM commits WHERE scorer = $scorer) AS part
    USING (run_id) ORDER BY started_at DESC
"""
"""Of the runs of one emotion model."""


def caution_in_lake(reader: LakeReader, conversation: Conversation) -> str | None:
    """The caution for a conversation: about what recognized its words, and the emotion model whose answers it shows."""
    if conversation.recording["status"] != "scored":
        return None
    # Profiles take a fifth of a second to import, which `--help` need not wait for.
    from mmer_ray.stages.caution import caution_of

    words = reader.rows(HEARD_BY, {"recording": conversation.recording["recording_id"]})
    emotions = reader.rows(FELT_BY, {"scorer": conversation.scorer})
    return caution_of([_model(words, "transcribe"), _model(emotions, "emotion")])


def _model(runs: Sequence[Row], stage: str) -> str | None:
    """The model of a stage in the first of these runs that names one."""
    named = (json.loads(run["options"] or "{}").get(stage, {}).get("model") for run in runs)
    return next((str(model) for model in named if model), None)


def show_caution(caution: str | None) -> None:
    """Print it, where there is one."""
    if caution is not None:
        say(caution, style="yellow")
