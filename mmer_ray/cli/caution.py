"""What must be said beside answers that deserve little trust."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer_ray.cli.output import say

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.queries import LakeReader
    from mmer_ray.profiles import Profile

SYNTHETIC = (
    "The models of the profile synthetic were trained on synthetic speech: on real speech words and emotions are not "
    "reliable."
)
ACTED_GERMAN = (
    "The emotion model was trained on acted German speech alone: of the labels that it gave acted English two thirds "
    "were right."
)
RUN_OPTIONS = "SELECT options FROM runs WHERE run_id = $run_id"


def caution_about(profile: Profile) -> str | None:
    """The caution for answers made with this profile, where one is due."""
    return _caution([profile.transcribe.model, profile.emotion.model])


def caution_in_lake(reader: LakeReader, conversation: Conversation) -> str | None:
    """The caution for a conversation, from the options of the run that wrote it."""
    options = reader.sql(RUN_OPTIONS, {"run_id": conversation.recording["run_id"]}).column("options").to_pylist()
    if not options or conversation.recording["status"] != "scored":
        return None
    profile = json.loads(options[0] or "{}")
    return _caution([profile.get(stage, {}).get("model") for stage in ("transcribe", "emotion")])


def _caution(models: Sequence[str | None]) -> str | None:
    """The first that is due, of words before emotions. The models' cards have the figures."""
    # Profiles take a fifth of a second to import, which `--help` need not wait for.
    from mmer_ray.profiles import SHIPPED_EMOTION

    cautions = {"embedded": SYNTHETIC, SHIPPED_EMOTION: ACTED_GERMAN}
    return next((cautions[model] for model in models if model in cautions), None)


def show_caution(caution: str | None) -> None:
    """Print it, where there is one."""
    if caution is not None:
        say(caution, style="yellow")
