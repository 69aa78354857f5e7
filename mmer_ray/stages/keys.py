"""What made a result: one key per stage, from which the planner sees what is still true. No torch.

Keys chain: a stage's key covers its own part (version, options that change answers, model) and the key before it, so
two equal keys mean that everything up to there is equal. Limits, costs and the names of roles are in no key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from mmer_ray.audio.decode import VERSION as DECODE_VERSION
from mmer_ray.models.emotion_checkpoints import scorer_name
from mmer_ray.models.members import KeyPart
from mmer_ray.profiles import Profile
from mmer_ray.stages import diarize, emotion, join, link, transcribe

LIMITS = frozenset({"max_duration_s", "max_file_bytes", "max_decoded_bytes", "max_memory_mb", "stall_s"})
"""Decode options that decide whether a file is scored, not what the answer is."""


def _decode_part(profile: Profile) -> KeyPart:
    options = profile.decode.model_dump(mode="json", exclude=set(LIMITS))
    return {"version": DECODE_VERSION, "options": options}


PARTS: Mapping[str, Callable[[Profile], KeyPart]] = {
    "decode": _decode_part,
    "diarize": diarize.key_part,
    "transcribe": transcribe.key_part,
    "join": join.key_part,
    "emotion": emotion.key_part,
    "link": link.key_part,
}
"""Each stage states what its own answers hang on, beside its code; in the order of the stages."""


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
    channel_roles: tuple[str, ...] = ()
    """Compared as they are: new names need no stage but `link`."""

    @property
    def heard(self) -> str:
        """The key of everything before emotion: words, speakers and turns."""
        return self.join


def keys_of(profile: Profile) -> Keys:
    """Name what a profile makes.

    Raises `PreflightError` where a model is missing, `ProfileError` for a detector that does not exist.
    """
    chained: dict[str, str] = {}
    before = ""
    for stage in PARTS:
        before = chained[stage] = key_after(before, stage, profile)
    return Keys(
        **chained,
        scorer=scorer_of(profile),
        limits=_digest(profile.decode.model_dump(mode="json", include=set(LIMITS))),
        channel_roles=profile.link.channel_roles,
    )


def key_after(before: str, stage: str, profile: Profile) -> str:
    """The key of one stage behind the key of the one before it, "" for the first. Raises as `keys_of`."""
    return _digest({"stage": stage, "before": before, **PARTS[stage](profile)})


def felt_keys(heard: Keys, profile: Profile) -> Keys:
    """The same keys up to `join`, with the emotion model and the measures of another profile behind them.

    Of that profile `emotion` and `link` alone are read. Raises `PreflightError` where the emotion model is missing.
    """
    emotion_key = key_after(heard.join, "emotion", profile)
    return replace(
        heard,
        emotion=emotion_key,
        link=key_after(emotion_key, "link", profile),
        scorer=scorer_of(profile),
        channel_roles=profile.link.channel_roles,
    )


def scorer_of(profile: Profile) -> str:
    """The name of a profile's emotion model, as in `Emotion.scorer`. Raises `PreflightError` where it is missing."""
    return scorer_name(emotion.choose_scorer(profile.emotion).resolved())


def _digest(part: KeyPart) -> str:
    return blake2b(json.dumps(part, sort_keys=True).encode(), digest_size=8).hexdigest()
