"""What made a result: one fingerprint per stage, from which the planner sees what is still true.

A fingerprint covers the stage alone. When it changes, the answers of the stages after it are stale too: they read it.
Nothing here imports a model or torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

from mmer_ray.audio import decode
from mmer_ray.models.preflight import model_refs
from mmer_ray.models.resolver import resolve
from mmer_ray.profiles import STAGES, Options, Profile

VERSIONS: Mapping[str, str] = {
    "decode": decode.VERSION,
    "diarize": "1",
    "transcribe": "1",
    "emotion": "1",
    "link": "1",
}
"""Raise a stage's version when its code gives other answers for the same input, options and model."""

ONLY_COST: Mapping[str, frozenset[str]] = {
    "decode": frozenset({"stall_s", "max_memory_mb"}),
    "transcribe": frozenset({"batch_s"}),
    "emotion": frozenset({"batch_s"}),
}
"""Options that change time and memory, not answers. `model` is left out beside them: the digest stands for it, so a
copy of a model in another folder is the same model."""


def fingerprints(profile: Profile) -> dict[str, str]:
    """Stage -> 16 hex digits over its name, version, options that change answers, and model files.

    Raises `PreflightError` when a model is not there.
    """
    digests = model_digests(profile)
    return {stage: _fingerprint(stage, getattr(profile, stage), digests.get(stage, "")) for stage in STAGES}


def model_digests(profile: Profile) -> dict[str, str]:
    """Stage -> digest of the model files that it reads, for the stages that have any.

    Raises `PreflightError` when a model is not there.
    """
    digests = {name: resolve(ref).digest for name, ref in model_refs(profile).items()}
    return {
        "diarize": f"{digests['diarize.model']} {digests['vad']}",
        "transcribe": digests["transcribe.model"],
        "emotion": digests["emotion.model"],
    }


def _fingerprint(stage: str, options: Options, model_digest: str) -> str:
    settings = options.model_dump(mode="json", exclude={"model", *ONLY_COST.get(stage, ())})
    made_by = {"stage": stage, "version": VERSIONS[stage], "options": settings, "model": model_digest}
    return blake2b(json.dumps(made_by, sort_keys=True).encode(), digest_size=8).hexdigest()
