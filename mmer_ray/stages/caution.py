"""What must be said beside answers of models that deserve little trust, wherever they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.profiles import SHIPPED_EMOTION, Profile

SYNTHETIC = (
    "The models of the profile synthetic were trained on synthetic speech: on real speech words and emotions are not "
    "reliable."
)
ACTED_GERMAN = (
    "The emotion model was trained on acted German speech alone: of the labels that it gave acted English two thirds "
    "were right."
)
CAUTIONS = {"embedded": SYNTHETIC, SHIPPED_EMOTION: ACTED_GERMAN}
"""By model, as a profile names it. The models' cards have the figures."""


def caution_about(profile: Profile) -> str | None:
    """The caution for answers made with this profile, where one is due."""
    return caution_of([profile.transcribe.model, profile.emotion.model])


def caution_of(models: Sequence[str | None]) -> str | None:
    """The first that is due of these models, words before emotions."""
    return next((CAUTIONS[model] for model in models if model in CAUTIONS), None)
