"""Whether a recipe fits the model and what it is trained on: a setting that nothing reads is refused, not ignored."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.errors import UsageError
from mmer_ray.models.bridge_tokens.masking import MasksModalities
from mmer_ray.models.family_names import READ_VARIATIONS
from mmer_ray.models.interface import EmotionModel
from mmer_ray.models.mmer.config import FAMILY as MMER
from mmer_ray.training.material import Material
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.utterances import Utterance


def check(model: EmotionModel, material: Material, recipe: Recipe) -> None:
    """Raise `UsageError` where a recipe asks for what the model has no part for, or the material lacks."""
    if recipe.selection == "best" and not material.development:
        raise UsageError(
            "recipe: selection is best, and there is no development set to choose on: choose a protocol with one, or "
            "set selection=last"
        )
    if recipe.modality_masking and not isinstance(model, MasksModalities):
        raise UsageError(f"{model.family} cannot do without a modality: train it without modality_masking")
    if recipe.two_views and model.family not in READ_VARIATIONS:
        raise UsageError(f"the loss of {model.family} reads no second view: train it without two_views")
    if recipe.contrast != Recipe.contrast and model.family != MMER:
        raise UsageError(f"{model.family} has no contrastive terms: train it without contrast={recipe.contrast}")
    if recipe.soft_labels and not any(_has_shares(one, material.labels) for one in material.train):
        raise UsageError(
            "recipe: soft_labels is set, and no utterance of the training set has raters' shares of "
            f"{', '.join(material.labels)}: train without soft_labels, or on a corpus with its raters' votes"
        )
    if recipe.reads_spelling:
        _check_spelling(model, material)


def _has_shares(utterance: Utterance, labels: Sequence[str]) -> bool:
    return any((utterance.shares or {}).get(label) for label in labels)


def _check_spelling(model: EmotionModel, material: Material) -> None:
    if not hasattr(model.config, "ctc_symbols"):
        raise UsageError(f"{model.family} has no CTC term: train it without reads_spelling")
    # Empty text says that nothing is spoken; text that is not known must not be learned as silence.
    unknown = [one.read_from or one.utterance_id for one in material.train if one.text is None]
    if unknown:
        raise UsageError(
            f"{unknown[0]}: its transcript is not known, as of {len(unknown)} of {len(material.train)} utterances that "
            "are trained on: give each its text, empty where nothing is said, or set reads_spelling=false"
        )
