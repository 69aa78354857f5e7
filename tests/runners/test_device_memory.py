"""Whether models and batches fit, by arithmetic."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.runner import Runner
from mmer_ray.runners import device_memory, job
from mmer_ray.runners.device_memory import (
    PROCESS_BYTES,
    free_gpu_bytes,
    main_memory_bytes,
    needed_bytes,
    require_memory,
)

GB = 10**9
LARGE_V3 = 3_087_284_237


def model(kind: str, num_bytes: int) -> ResolvedModel:
    return ResolvedModel(ModelRef(kind, "/models/some"), Path("/models/some"), "0" * 64, num_bytes)


def models(transcriber: int = 78_000_000, emotion: int = 508_000_000) -> dict[str, ResolvedModel]:
    return {
        "vad.model": model("vad", 1_000_000),
        "diarize.model": model("speaker", 28_000_000),
        "transcribe.model": model("whisper", transcriber),
        "emotion.model": model("emotion", emotion),
    }


def profile(*settings: str) -> Profile:
    return load_profile("synthetic", settings)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with 16 GB, no GPU and no limit."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(device_memory, "CGROUP_MAX", tmp_path / "memory.max")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    have(tmp_path, 16 * GB)
    has_gpus(tmp_path)
    return tmp_path


def have(machine: Path, num_bytes: int) -> None:
    (machine / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {num_bytes >> 10} kB\n")


def has_gpus(machine: Path, *mebibytes: int) -> None:
    """What `nvidia-smi` prints, with the GPU that is asked for; none: it fails, as it does without a driver."""
    printed, program = machine / "printed", machine / "nvidia-smi"
    printed.write_text("".join(f"{size}\n" for size in mebibytes) or "NVIDIA-SMI has failed\n")
    one = f'--id=*) sed -n "$((${{word#--id=}} + 1))p" {printed}; exit;;'
    status = 0 if mebibytes else 9
    program.write_text(f"#!/bin/sh\nfor word; do case $word in {one} esac; done\ncat {printed}\nexit {status}\n")
    program.chmod(0o755)


def test_memory_is_weights_in_single_precision_and_a_batch_of_each_stage() -> None:
    small, long = profile("transcribe.batch_s=30"), profile("transcribe.batch_s=60")
    weights = 2 * sum(one.num_bytes for one in models().values()) - models()["transcribe.model"].num_bytes
    assert needed_bytes(small, models()) > weights + PROCESS_BYTES
    # 30 s more of tiny.en: 2.41 MB a second were measured.
    assert needed_bytes(long, models()) - needed_bytes(small, models()) == pytest.approx(30 * 2.41e6, rel=0.05)


def test_an_aligner_needs_its_weights_and_room_for_one_chunk_at_a_time() -> None:
    english = {"transcribe.align_models.en": model("aligner", 377_000_000)}
    german = {"transcribe.align_models.de": model("aligner", 377_000_000)}
    without, one, two = (needed_bytes(profile(), models() | more) for more in ({}, english, english | german))
    assert one - without > two - one == 2 * 377_000_000


def test_a_model_that_does_not_fit_is_refused_with_need_what_is_free_and_remedies(machine: Path) -> None:
    require_memory(profile(), models(LARGE_V3), Runner.INPROCESS, 1)
    have(machine, 4 * GB)
    with pytest.raises(PreflightError, match=r"need about \d+\.\d GB of main memory, and 4\.0 GB are free") as caught:
        require_memory(profile(), models(LARGE_V3), Runner.INPROCESS, 1)
    assert "--set emotion.batch_s=30" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_actor_of_a_private_cluster_needs_its_own(machine: Path) -> None:
    with pytest.raises(PreflightError, match=r"of 8 actors need .*--set run\.max_actors=2;"):
        require_memory(profile(), models(LARGE_V3), Runner.RAY, 100)
    require_memory(profile("run.max_actors=2"), models(LARGE_V3), Runner.RAY, 100)
    require_memory(profile(), models(LARGE_V3), Runner.RAY, 1)


def test_a_cluster_elsewhere_is_not_judged_from_here(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have(machine, GB)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    require_memory(profile("run.gpus_per_actor=1"), models(LARGE_V3), Runner.RAY, 100)


def test_where_there_is_a_gpu_its_memory_counts_and_is_shared_by_its_actors(machine: Path) -> None:
    have(machine, GB)
    has_gpus(machine, 24_000, 12_000)
    require_memory(profile(), models(LARGE_V3), Runner.INPROCESS, 1)
    require_memory(profile("run.gpus_per_actor=1"), models(LARGE_V3), Runner.RAY, 100)
    with pytest.raises(
        PreflightError, match=r"of 4 actors need about .* of a GPU, and 12\.6 GB .*--set run\.gpus_per_actor=0\.5;"
    ):
        require_memory(profile("run.gpus_per_actor=0.25"), models(LARGE_V3), Runner.RAY, 100)


def test_gpus_that_are_asked_for_and_not_there_are_refused(machine: Path) -> None:
    with pytest.raises(
        PreflightError, match=r"asks for 0\.5 GPUs per actor .*--set run\.gpus_per_actor=0; or .*RAY_ADD"
    ):
        require_memory(profile("run.gpus_per_actor=0.5"), models(), Runner.RAY, 100)


def test_only_gpus_that_this_process_may_use_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_gpus(machine, 24_000, 20_000)
    assert free_gpu_bytes() == [24_000 << 20, 20_000 << 20]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert free_gpu_bytes() == [20_000 << 20]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert free_gpu_bytes() == []


def test_the_limit_of_a_container_counts(machine: Path) -> None:
    assert main_memory_bytes() == pytest.approx(16 * GB, abs=1024)
    (machine / "memory.max").write_text(f"{3 * GB}\n")
    assert main_memory_bytes() == 3 * GB
    (machine / "memory.max").write_text("max\n")
    assert main_memory_bytes() == pytest.approx(16 * GB, abs=1024)


def test_a_host_that_does_not_say_refuses_nothing(machine: Path) -> None:
    (machine / "meminfo").unlink()
    require_memory(profile(), models(LARGE_V3), Runner.INPROCESS, 1)


def test_a_job_asks_before_it_writes_anything(machine: Path, tmp_path: Path) -> None:
    from mmer_ray.demo.truth import CALLS

    have(machine, GB // 4)
    sources = (str(CALLS / "call_01_stereo.opus"),)
    options = job.JobOptions(sources, str(tmp_path / "lake"), profile("run.runner=inprocess"))
    with pytest.raises(PreflightError, match="GB of main memory"):
        job.run(options)
    assert not list((tmp_path / "lake").rglob("*.parquet"))
