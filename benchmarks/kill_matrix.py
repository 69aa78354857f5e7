"""What does a lake lose when a process of a running job is killed and the same command is run again?

    PYTHONPATH=. python benchmarks/kill_matrix.py [--kills 20] [--recordings 60] [--seed 1] [--victim raylet]

A job scores short clips on two simulated nodes of Ray, its members without weights. At a random moment `kill -9` hits
its driver, a worker that runs one of our actors, or the raylet of the second node; then the same command is run until
it says that all is done. Its rows, those of all tables, are compared with those of a job that nobody disturbed. Prints
a JSON line per kill, then a table: kills, those survived, rows lost, rows doubled. A kill that came after the job's end
counts as none and is tried at another moment. Exits 1 where a kill was not survived.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict

from tests.runners.kill_matrix import VICTIMS, KillMatrix, Outcome, kill_matrix

TRIES_PER_KILL = 3


def kills_of(victim: str, matrix: KillMatrix, num_kills: int, seed: int) -> list[Outcome]:
    """The outcomes of so many kills that hit their victim."""
    outcomes: list[Outcome] = []
    for number in range(num_kills * TRIES_PER_KILL):
        if len(outcomes) == num_kills:
            break
        outcome = matrix.try_one(victim, random.Random(f"{seed} {victim} {number}"))
        print(json.dumps({**asdict(outcome), "survived": outcome.is_survived}), flush=True)
        if outcome.is_delivered:
            outcomes.append(outcome)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each kind of victim")
    parser.add_argument("--recordings", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--victim", choices=[*VICTIMS, "all"], default="all")
    arguments = parser.parse_args()
    victims = VICTIMS if arguments.victim == "all" else (arguments.victim,)
    with kill_matrix(arguments.recordings) as matrix:
        by_victim = {victim: kills_of(victim, matrix, arguments.kills, arguments.seed) for victim in victims}
    print(f"{'victim':8} {'kills':>6} {'survived':>9} {'rows lost':>10} {'rows doubled':>13}")
    for victim, outcomes in by_victim.items():
        num_survived = sum(one.is_survived for one in outcomes)
        lost, doubled = sum(one.num_lost for one in outcomes), sum(one.num_doubled for one in outcomes)
        print(f"{victim:8} {len(outcomes):6} {num_survived:9} {lost:10} {doubled:13}")
    return int(not all(one.is_survived for outcomes in by_victim.values() for one in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
