"""What made a result: one key per stage, from which the planner sees what is still true. No torch.

Keys chain: a stage's key covers its own part (version, options that change answers, model) and the key before it, so
two equal keys mean that everything up to there is equal. Limits, costs and the names of roles are in no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from mmer_ray.audio import decode, vad
from mmer_ray.diarizers import members as diarizers
from mmer_ray.models.locate import digest
from mmer_ray.models.members import Chosen, choose
from mmer_ray.profiles import DecodeOptions, Profile
from mmer_ray.recognizers import members as recognizers
from mmer_ray.stages import diarize, emotion, join, link, transcribe

LIMITS = frozenset({"max_duration_s", "max_file_bytes", "max_decoded_bytes", "max_memory_mb", "stall_s"})
"""Decode options that decide whether a file is scored, not what the answer is."""
Part = Mapping[str, Any]


@dataclass(frozen=True)
class Keys:
    """The keys of a profile, 16 hex digits each."""

    decode: str
    diarize: str
    transcribe: str
    join: str
    emotion: str
    link: str
    scorer: str
    """Name of the emotion model, `family-digest`, as in `Emotion.scorer`."""
    limits: str
    """Digest of the limits alone: a failure at a limit is tried again when it changes."""
    channel_roles: tuple[str, ...]
    """Compared as they are: new names need no stage but `link`."""

    @property
    def heard(self) -> str:
        """The key of everything before emotion: words, speakers and turns."""
        return self.join


def keys_of(profile: Profile) -> Keys:
    """Name what a profile makes. Raises `PreflightError` where a model is missing, `ProfileError` for an unknown VAD."""
    emotion_model = emotion.choose_scorer(profile.emotion)
    chained: dict[str, str] = {}
    before = ""
    for stage, part in _parts(profile, emotion_model).items():
        before = chained[stage] = _digest({"stage": stage, "before": before, **part})
    return Keys(
        **chained,
        scorer=emotion.scorer_name(emotion_model.folder()),
        limits=_digest(profile.decode.model_dump(mode="json", include=set(LIMITS))),
        channel_roles=profile.link.channel_roles,
    )


def model_digests(profile: Profile) -> dict[str, str]:
    """Stage -> digest of the model files that it reads, for the record of a run. Raises as `keys_of`."""
    return {
        "diarize": f"{_diarizer(profile).folder().digest} {digest(vad.weights_of(profile.vad))}",
        "transcribe": _recognizer(profile).folder().digest,
        "emotion": emotion.choose_scorer(profile.emotion).folder().digest,
    }


def _parts(profile: Profile, emotion_model: Chosen) -> dict[str, Part]:
    """What each stage's own answers hang on, in the order of the stages."""
    detector = {**profile.vad.model_dump(mode="json"), "weights": digest(vad.weights_of(profile.vad))}
    diarizing = profile.diarize.model_dump(mode="json", exclude={"model"})
    return {
        "decode": {"version": decode.VERSION, "options": _decoding(profile.decode)},
        "diarize": {"version": diarize.VERSION, "options": diarizing, "vad": detector, **_model(_diarizer(profile))},
        "transcribe": {
            "version": transcribe.VERSION,
            "options": profile.transcribe.model_dump(mode="json", exclude={"model", "batch_s"}),
            **_model(_recognizer(profile)),
        },
        "join": {"version": join.VERSION, "options": profile.join.model_dump(mode="json")},
        "emotion": {"version": emotion.VERSION, **_model(emotion_model)},
        "link": {"version": link.VERSION},
    }


def _decoding(options: DecodeOptions) -> Part:
    return options.model_dump(mode="json", exclude=set(LIMITS))


def _diarizer(profile: Profile) -> Chosen:
    return choose(profile.diarize.model, diarizers.MEMBERS)


def _recognizer(profile: Profile) -> Chosen:
    return choose(profile.transcribe.model, recognizers.MEMBERS)


def _model(chosen: Chosen) -> Part:
    """A copy of a model in another folder is the same model."""
    return {"member": chosen.name, "model": chosen.folder().digest}


def _digest(part: Part) -> str:
    return blake2b(json.dumps(part, sort_keys=True).encode(), digest_size=8).hexdigest()
