"""The recognizers by name. A new one is a file here and a line in the table."""

from __future__ import annotations

from collections.abc import Mapping

from mmer_ray.errors import ProfileError
from mmer_ray.models.members import Chosen, Member, Package, choose
from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.interface import Recognizer

MEMBERS: Mapping[str, Member] = {
    "ctc": Member("mmer_ray.recognizers.ctc:CtcRecognizer", kind="ctc"),
    "onnx": Member(
        "mmer_ray.recognizers.onnx:OnnxRecognizer", kind="onnx_asr", package=Package("onnx_asr", extra="onnx")
    ),
    "whisper": Member("mmer_ray.recognizers.whisper.recognizer:WhisperRecognizer", kind="whisper"),
}

ALIGNED = frozenset({"whisper"})
"""The members whose words an aligner can time."""


def choose_recognizer(options: TranscribeOptions) -> Chosen:
    """Read which recognizer a profile names."""
    return choose(options.model, MEMBERS)


def aligner_refs(options: TranscribeOptions) -> dict[str, ModelRef]:
    """The aligners that a profile names: language -> model.

    Raises `UsageError` for a name that cannot be meant, `ProfileError` where the recognizer takes no aligner.
    """
    name = choose_recognizer(options).name
    if options.align_models and name not in ALIGNED:
        raise ProfileError(
            f"transcribe.align_models: the recognizer {name} times its words itself; leave the key out, or choose one "
            f"of {', '.join(sorted(ALIGNED))}"
        )
    return {language: parse_ref("aligner", model) for language, model in sorted(options.align_models.items())}


def load_recognizer(options: TranscribeOptions) -> Recognizer:
    """Load the recognizer that a profile names. Raises `PreflightError` where its checkpoint is missing."""
    chosen = choose_recognizer(options)
    recognizer: Recognizer = chosen.member.load(chosen.resolved(), options)
    return recognizer
