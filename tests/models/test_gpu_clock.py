"""Seconds of GPU time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mmer_ray.models.gpu_clock import collect_gpu_seconds, forward_pass


@pytest.fixture
def synchronised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for a device: remembers who waited for it."""
    waits: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    return waits


def test_a_forward_pass_on_a_gpu_is_timed_between_two_synchronisations(synchronised: list[str]) -> None:
    with collect_gpu_seconds() as spent:
        with forward_pass("cuda"):
            assert torch.is_inference_mode_enabled()
            time.sleep(0.02)
        time.sleep(0.02)
        first_s = spent.total_s
        with forward_pass("cuda"):
            pass
    assert 0.02 <= first_s < spent.total_s
    assert synchronised == ["cuda"] * 4


def test_a_forward_pass_on_a_cpu_or_that_nobody_measures_waits_for_no_gpu(synchronised: list[str]) -> None:
    with collect_gpu_seconds() as spent, forward_pass("cpu"):
        pass
    with forward_pass("cuda"):
        pass
    assert (spent.total_s, synchronised) == (0.0, [])


def test_threads_measure_their_own_passes(synchronised: list[str]) -> None:
    both = threading.Barrier(2)

    def measure(passes: int) -> float:
        with collect_gpu_seconds() as spent:
            both.wait(30)
            for _ in range(passes):
                with forward_pass("cuda"):
                    time.sleep(0.01)
        return spent.total_s

    with ThreadPoolExecutor(2) as pool:
        idle_s, busy_s = pool.map(measure, [0, 3])
    assert idle_s == 0.0
    assert busy_s >= 0.03
