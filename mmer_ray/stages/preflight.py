"""Are a profile's models there, whole and the right ones? Asked before anything is started. No torch."""

from __future__ import annotations

from mmer_ray.audio.vad import weights_of
from mmer_ray.diarizers.members import choose_diarizer
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.members import choose_recognizer
from mmer_ray.stages.emotion import choose_scorer


def model_refs(profile: Profile) -> dict[str, ModelRef]:
    """The profile's key -> the model that it names.

    Raises `UsageError` for a name that cannot be meant, `PreflightError` where the voice activity detector is not
    installed.
    """
    diarizer = choose_diarizer(profile.diarize)
    second = {} if diarizer.second_ref is None else {"diarize.embedding_model": diarizer.second_ref}
    return {
        "vad.model": ModelRef("vad", str(weights_of(profile.vad))),
        "diarize.model": diarizer.ref,
        **second,
        "transcribe.model": choose_recognizer(profile.transcribe).ref,
        "emotion.model": choose_scorer(profile.emotion).ref,
    }


def preflight_models(profile: Profile) -> list[ResolvedModel]:
    """Resolve every model that a profile needs, in the order of `model_refs`.

    Raises `PreflightError`, naming the model and the remedies, for the first that is missing, not whole, of another
    digest than its name says, or an emotion model that cannot read text though its family does.
    """
    resolved = [resolve(ref) for ref in model_refs(profile).values()]
    for model in resolved:
        if model.ref.kind == "emotion":
            check_emotion_model(model.path)
    return resolved
