"""Are a profile's models there, whole and the right ones? Asked before anything is started. No torch."""

from __future__ import annotations

from mmer_ray.audio.vad import weights_of
from mmer_ray.diarizers.members import choose_diarizer
from mmer_ray.errors import PreflightError
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.models.members import Member
from mmer_ray.models.onnx_asr_folder import read_folder
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.members import aligner_refs, choose_recognizer
from mmer_ray.stages.emotion import choose_scorer


def model_refs(profile: Profile) -> dict[str, ModelRef]:
    """The profile's key -> the model that it names.

    Raises `UsageError` for a name that cannot be meant, `ProfileError` for aligners that the recognizer does not take,
    `PreflightError` where the voice activity detector is not installed.
    """
    diarizer = choose_diarizer(profile.diarize)
    second = {} if diarizer.second_ref is None else {"diarize.embedding_model": diarizer.second_ref}
    return {
        "vad.model": ModelRef("vad", str(weights_of(profile.vad))),
        "diarize.model": diarizer.ref,
        **second,
        "transcribe.model": choose_recognizer(profile.transcribe).ref,
        **{f"transcribe.align_models.{code}": ref for code, ref in aligner_refs(profile.transcribe).items()},
        "emotion.model": choose_scorer(profile.emotion).ref,
    }


def members_of(profile: Profile) -> dict[str, Member]:
    """The profile's key -> the member that it names, for those that may need a package of an extra."""
    return {
        "diarize.model": choose_diarizer(profile.diarize).member,
        "transcribe.model": choose_recognizer(profile.transcribe).member,
    }


def preflight_models(profile: Profile, *, hears: bool = True) -> dict[str, ResolvedModel]:
    """Resolve every model that a profile needs: the profile's key -> model, in the order of `model_refs`. Without
    `hears` the emotion model alone.

    Raises `PreflightError` with a line for each that is missing, not whole, of another digest than its name says, an
    emotion model that cannot read text though its family does, or a package that reads one: the key, the model and the
    remedies.
    """
    resolved: dict[str, ResolvedModel] = {}
    failures: list[str] = []
    for key, member in members_of(profile).items() if hears else ():
        try:
            member.require_package()
        except PreflightError as error:
            failures.append(f"{key}: {error}")
    refs = model_refs(profile) if hears else {"emotion.model": choose_scorer(profile.emotion).ref}
    for key, ref in refs.items():
        try:
            resolved[key] = resolve(ref)
            if ref.kind == "emotion":
                check_emotion_model(resolved[key].path)
            elif ref.kind == "onnx_asr":
                read_folder(resolved[key].path)
        except PreflightError as error:
            failures.append(f"{key}: {error}")
    if failures:
        raise PreflightError(*failures)
    return resolved
