"""What must be said beside answers that deserve little trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mmer_ray.cli.output import say

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.queries import LakeReader

RUN_OPTIONS = "SELECT options FROM runs WHERE run_id = $run_id"


def caution_in_lake(reader: LakeReader, conversation: Conversation) -> str | None:
    """The caution for a conversation, from the options of the run that wrote it."""
    options = reader.sql(RUN_OPTIONS, {"run_id": conversation.recording["run_id"]}).column("options").to_pylist()
    if not options or conversation.recording["status"] != "scored":
        return None
    # Profiles take a fifth of a second to import, which `--help` need not wait for.
    from mmer_ray.stages.caution import caution_of

    profile = json.loads(options[0] or "{}")
    return caution_of([profile.get(stage, {}).get("model") for stage in ("transcribe", "emotion")])


def show_caution(caution: str | None) -> None:
    """Print it, where there is one."""
    if caution is not None:
        say(caution, style="yellow")
