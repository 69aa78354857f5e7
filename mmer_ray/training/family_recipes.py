"""How each family is trained unless asked otherwise, by family and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mmer_ray.errors import UsageError
from mmer_ray.models import families
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.frozen_encoder.config import FAMILY as FROZEN_ENCODER
from mmer_ray.models.mmer.config import FAMILY as MMER
from mmer_ray.models.mmer.losses import terms as mmer_terms
from mmer_ray.training.augment import Variation
from mmer_ray.training.recipe import Recipe

if TYPE_CHECKING:
    from mmer_ray.training.fresh_model import Architecture

VARIATION = Variation(crop_s=(1.5, 2.5), speed=0.12, gain_db=6.0, noise_share=0.2, num_masks=1)
"""Short acted sentences, so that a model hears more voices than there are."""
FROM_NOTHING: Mapping[str, Recipe] = {
    MMER: Recipe(num_epochs=40, peak_rate=1.5e-3, variation=VARIATION),
    "bridge_tokens": Recipe(num_epochs=40, peak_rate=1.5e-3, variation=VARIATION),
    # Forty filters over all samples are slow: fewer epochs, chosen for the training's length and not for its result.
    "leaf_transformer": Recipe(num_epochs=30, peak_rate=3e-3, variation=VARIATION),
    "late_fusion": Recipe(num_epochs=40, batch_size=32, peak_rate=3e-3, variation=VARIATION),
}
"""Family -> how its tiny size is trained from fresh weights on a few hundred clips."""
UNTUNED = Recipe(num_epochs=40, peak_rate=1e-3, variation=VARIATION)
"""For a family without a line above."""
MMER_ON_ENCODERS = Recipe(num_epochs=12, peak_rate=1e-3, variation=VARIATION, contrast="textbook")
"""Of `mmer` on frozen encoders, sound and transcript: only the fusion and the heads learn, so that fewer epochs do; the
published supervised term, on vectors of any length, outweighs the classes at first. Not tuned."""
PUBLISHED_MMER = Recipe(
    num_epochs=100,
    batch_size=8,
    micro_batch_size=2,
    mode="accumulated",
    peak_rate=1e-5,
    warm_up_share=0.0,
    final_share=1.0,
    weight_decay=0.01,
    max_gradient_norm=0.0,
    average_decay=None,
    sampling="natural",
    two_views=True,
    reads_spelling=True,
    selection="best",
    epochs_between_checks=1,
)
"""Of MMER's code: two utterances at once, four times a step."""


def default_size(family: str) -> str:
    """The size that is trained unless another is named: small, from fresh weights or on the smallest encoder."""
    return "whisper-tiny" if family == FROZEN_ENCODER else "tiny"


def recipe_of(family: str, size: str) -> Recipe:
    """How a family's size is trained unless asked otherwise. Raises `UsageError` for an unknown family."""
    if family not in FAMILIES:
        raise UsageError(f"there is no family {family!r}; families: {', '.join(FAMILIES)}")
    if family == MMER and size == "base":
        return PUBLISHED_MMER
    if family == MMER and size == "whisper-tiny":
        return MMER_ON_ENCODERS
    return FROM_NOTHING.get(family, UNTUNED)


def recipe_asked(architecture: Architecture, settings: Sequence[str], seed: int) -> Recipe:
    """How a model is trained, with what a user sets. Raises `UsageError` for what cannot be set."""
    if architecture.is_head and settings:
        raise UsageError("the head of a frozen encoder is solved at once: it has no recipe to --set")
    if any(setting.partition("=")[0].strip() == "seed" for setting in settings):
        raise UsageError("--set seed=...: name seeds with --seed")
    return replace(with_settings(recipe_of(architecture.family, architecture.size), settings), seed=seed)


def terms_for(family: str, recipe: Recipe) -> families.Terms:
    """What a family's training lowers: the terms of its loss, in the mode that the recipe says."""
    return partial(mmer_terms, mode=recipe.contrast) if family == MMER else families.terms_of(family)


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Change keys of a recipe, each as `key=value` or, of the variation, `variation.key=value`.

    >>> with_settings(Recipe(), ["num_epochs=3", "variation.speed=0.1"]).variation.speed
    0.1

    Raises `UsageError` for an unknown key or a value of another kind.
    """
    for setting in settings:
        key, is_set, text = setting.partition("=")
        if not is_set:
            raise UsageError(f"recipe: {setting!r} is no key=value")
        recipe = _changed(recipe, key.strip(), text.strip(), "recipe")
    return recipe


def _changed(table: Any, key: str, text: str, where: str) -> Any:
    name, _, below = key.partition(".")
    known = [field.name for field in fields(table)]
    if name not in known:
        raise UsageError(f"{where} has no key {name!r}; keys: {', '.join(known)}")
    before = getattr(table, name)
    if below and not is_dataclass(before):
        raise UsageError(f"{where}: {name} has no keys of its own: set {name}={text} instead of {name}.{below}={text}")
    if below:
        return replace(table, **{name: _changed(before, below, text, f"{where}.{name}")})
    return replace(table, **{name: _value(table, name, text)})


def _value(table: Any, name: str, text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    wanted = _types_of(type(table))[name]
    given: Any = None if text.lower() == "none" else text.split(",") if "," in text else text
    try:
        return TypeAdapter(wanted).validate_python(given)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UsageError(f"recipe: {name}={text} does not fit: {reason}") from error


def _types_of(table_class: type) -> dict[str, Any]:
    from typing import get_type_hints

    return get_type_hints(table_class)
