"""What must be said beside answers that deserve little trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mmer_ray.cli.output import say

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.queries import LakeReader
    from mmer_ray.profiles import Profile

EMBEDDED = "embedded"
CAUTION = "The embedded models were trained on synthetic speech: on real speech words and emotions are not reliable."
RUN_OPTIONS = "SELECT options FROM runs WHERE run_id = $run_id"


def caution_about(profile: Profile) -> str | None:
    """The caution for answers made with this profile, where one is due."""
    return CAUTION if EMBEDDED in (profile.transcribe.model, profile.emotion.model) else None


def caution_in_lake(reader: LakeReader, conversation: Conversation) -> str | None:
    """The caution for a conversation, from the options of the run that wrote it."""
    options = reader.sql(RUN_OPTIONS, {"run_id": conversation.recording["run_id"]}).column("options").to_pylist()
    if not options or conversation.recording["status"] != "scored":
        return None
    profile = json.loads(options[0] or "{}")
    models = [profile.get(stage, {}).get("model") for stage in ("transcribe", "emotion")]
    return CAUTION if EMBEDDED in models else None


def show_caution(caution: str | None) -> None:
    """Print it, where there is one."""
    if caution is not None:
        say(caution, style="yellow")
