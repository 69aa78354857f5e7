"""Is there memory for the models and their batches? Arithmetic, before anything is loaded. No torch.

A batch needs in proportion to its seconds and to the width of the model, and width goes with the square root of the
weights' size: one factor for each architecture fits sizes that are far apart (`benchmarks/batch_memory.py`).
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import Profile
from mmer_ray.runner import Runner

IN_MEMORY = 2
"""Bytes in memory for one on disk: our weights are kept in half precision and run in single. Whisper is kept in half
and run in half or, on a CPU, in int8: never more than its file."""
WHISPER_BATCH, OTHER_BATCH = 275, 910
"""Bytes of a padded second = this times the square root of the weights' bytes, half of it for Whisper on a GPU.
Measured on a CPU: Whisper 272 and 274 in float32, 219 and 205 in int8 (tiny.en, base); the emotion family mmer, whose
first layers have thousands of frames a second, 874 and 909 (tiny, base)."""
ALIGNED_S = 30
"""The longest sound of an aligner: a chunk."""
PROCESS_BYTES = 500 << 20
"""An actor without models: interpreter, libraries, and on a GPU the context of CUDA."""
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
NVIDIA_SMI_S = 20.0
"""Longest wait for it: the driver may have to be loaded first."""
MEMINFO, CGROUP_MAX = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def needed_bytes(profile: Profile, models: Mapping[str, ResolvedModel], *, on_gpu: bool = False) -> int:
    """Memory of one actor, from above: weights, one batch of each stage at a time, the process itself.

    `models`: the profile's key -> model, as `preflight_models` gives it; stages without a model there do not run.
    """
    weights = sum(model.num_bytes * (1 if _is_whisper(model) else IN_MEMORY) for model in models.values())
    seconds = {"transcribe.model": profile.transcribe.batch_s, "emotion.model": profile.emotion.batch_s}
    batches = sum(_second_bytes(models[key], on_gpu) * batch_s for key, batch_s in seconds.items() if key in models)
    # One sound at a time goes through one aligner.
    aligners = [model for model in models.values() if model.ref.kind == "aligner"]
    aligned = max((_second_bytes(model, on_gpu) * ALIGNED_S for model in aligners), default=0)
    return weights + round(batches + aligned) + PROCESS_BYTES


def require_memory(profile: Profile, models: Mapping[str, ResolvedModel], runner: Runner, num_recordings: int) -> None:
    """Raise `PreflightError` unless this machine's devices hold the actors that a job would start on it.

    The GPUs where there are any and the job may use them, else main memory. The hosts of a cluster that is running
    elsewhere are not seen from here, so nothing is asked.
    """
    if runner == Runner.RAY and os.environ.get("RAY_ADDRESS", "").strip():
        return
    share = profile.run.gpus_per_actor
    if runner == Runner.RAY and not share:
        actors = min(profile.run.max_actors or os.cpu_count() or 1, max(1, num_recordings))
        _require(needed_bytes(profile, models), actors, main_memory_bytes(), "main memory", "run.max_actors={fitting}")
    elif gpus := free_gpu_bytes():
        actors = max(1, int(1 / share)) if runner == Runner.RAY else 1
        need = needed_bytes(profile, models, on_gpu=True)
        _require(need, actors, min(gpus), "the memory of a GPU", "run.gpus_per_actor={each:.2g}")
    elif runner == Runner.RAY:
        raise PreflightError(
            f"the profile asks for {share:g} GPUs per actor and `nvidia-smi` finds none on this machine. Remedies: "
            "--set run.gpus_per_actor=0; or name a cluster that has some in RAY_ADDRESS"
        )
    else:
        _require(needed_bytes(profile, models), 1, main_memory_bytes(), "main memory", "")


def free_gpu_bytes() -> list[int]:
    """Free memory of each GPU that this process may use; empty where there is none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return []
    chosen = () if visible is None else (f"--id={visible}",)
    try:
        ended = subprocess.run([*NVIDIA_SMI, *chosen], capture_output=True, text=True, timeout=NVIDIA_SMI_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    # Without a driver it prints why not, and a partitioned GPU prints "[N/A]".
    free = [line.strip() for line in ended.stdout.splitlines()] if ended.returncode == 0 else []
    return [int(mebibytes) << 20 for mebibytes in free if mebibytes.isdecimal()]


def main_memory_bytes() -> int | None:
    """Memory that a new process can have on this host, within its container's limit; None where nobody says."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)
    try:
        limit = CGROUP_MAX.read_text(encoding="ascii").strip()
    except OSError:
        return available
    return available if available is None or not limit.isdecimal() else min(available, int(limit))


def _is_whisper(model: ResolvedModel) -> bool:
    return model.ref.kind == "whisper"


def _second_bytes(model: ResolvedModel, on_gpu: bool) -> float:
    factor = WHISPER_BATCH * (0.5 if on_gpu else 1) if _is_whisper(model) else OTHER_BATCH
    return factor * math.sqrt(model.num_bytes)


def _require(need: int, actors: int, have: int | None, what: str, setting: str) -> None:
    """Refuse actors that do not fit; `setting` makes as many as do, where one does."""
    if have is None or need * actors <= have:
        return
    fitting = have // need
    first = f"--set {setting.format(fitting=fitting, each=1 / fitting)}; or " if fitting and setting else ""
    raise PreflightError(
        f"models and batches of {actors} actor{'s' * (actors > 1)} need about {need * actors / 1e9:.1f} GB of {what}, "
        f"and {have / 1e9:.1f} GB are free. Remedies: {first}smaller batches, --set transcribe.batch_s=30 --set "
        "emotion.batch_s=30; or smaller models; or free some memory"
    )
