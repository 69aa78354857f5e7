"""Processes of a running job are killed on two simulated nodes; run again, the job has lost and doubled nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.runners.kill_matrix import VICTIMS, KillMatrix, kill_matrix

NUM_RECORDINGS = 60


@pytest.fixture(scope="module")
def ray_nodes() -> Iterator[KillMatrix]:
    """A cluster of two nodes in a process of its own, and what a job on it gives that nobody disturbs."""
    with kill_matrix(NUM_RECORDINGS) as matrix:
        yield matrix


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_job_that_is_killed_and_run_again_gives_the_rows_of_one_that_was_not(
    victim: str, seed: int, ray_nodes: KillMatrix
) -> None:
    outcome = ray_nodes.try_one(victim, random.Random(f"{victim} {seed}"))
    assert outcome.is_survived, outcome
    assert outcome.is_delivered, outcome
