"""Ways of doing the same thing, run in turn: what each took, and ratios with their spread."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

Took = dict[str, list[tuple[float, float]]]
"""What -> wall and CPU seconds of each round."""


def in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, Any], Took]:
    """Run every way in each round, the order turned round by round: the last answers, and what each took."""
    answers: dict[str, Any] = {}
    took: Took = defaultdict(list)
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            answers[name] = ways[name]()
            took[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
    return answers, took


def report(took: Took, ours: str) -> None:
    """Print seconds and ratios to our own, by wall and by CPU."""
    for name, rounds in took.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [[own / mine for own, mine in zip(a, b, strict=True)] for a, b in zip(rounds, took[ours], strict=True)]
        wall, cpu = (
            f"{statistics.median(column):6.2f} ({min(column):.2f}..{max(column):.2f})"
            for column in zip(*ratios, strict=True)
        )
        print(f"  {name:26} {wall_s:8.3f} s, CPU {cpu_s:8.3f} s; over ours: wall {wall}, CPU {cpu}", flush=True)
