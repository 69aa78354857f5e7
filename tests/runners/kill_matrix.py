"""Kills of a running job, and what the lake says after the same command was run again.

`tests/runners/test_kill_matrix.py` does a few, `benchmarks/kill_matrix.py` many.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_internal
from mmer_ray.runners.cluster import ADDRESS_VARIABLE
from mmer_ray.tables import SORT_KEYS
from tests.lake.makers import EVERY_TABLE, contents
from tests.runners.clips import cut_clips
from tests.runners.kill_cluster import WORD

VICTIMS = ("driver", "worker", "raylet")
ACTORS = ("(PlainShard)", "ray::Attempts")
"""What the names of the worker processes contain that run our actors."""
ROOT = Path(__file__).resolve().parents[2]
MAX_DELAY_S = 0.5
LAST_ANSWERS = 6
"""So many recordings are left to answer, at least, when a job is killed."""
MAX_RUNS = 5
RUN_S = 800.0
"""Longest wait for a job: some seconds of work, and many minutes on a machine that others use."""
LOOK_EVERY_S = 0.02

Rows = Counter[str]


@dataclass(frozen=True)
class Moment:
    """When to kill: once so many recordings are answered (0: at the start), and then so much later."""

    num_answered: int
    delay_s: float

    @classmethod
    def any_of(cls, num_recordings: int, chance: random.Random) -> Moment:
        return cls(chance.randint(0, num_recordings - LAST_ANSWERS), chance.uniform(0, MAX_DELAY_S))


@dataclass
class Outcome:
    """What became of one kill."""

    victim: str
    moment: Moment
    is_delivered: bool
    """False where the job had ended before."""
    exit_codes: list[int] = field(default_factory=list)
    """Of the job that was hit and of those after it."""
    num_lost: int = 0
    """Rows of the uninterrupted run that readers do not see."""
    num_doubled: int = 0
    """Rows that readers see and the uninterrupted run does not have, and rows that are stored twice."""
    ledger_sums: bool = True

    @property
    def is_survived(self) -> bool:
        return self.exit_codes[-1] == 0 and self.ledger_sums and not (self.num_lost or self.num_doubled)


class Nodes:
    """The cluster's process. `second_raylet` is the process id of its second node."""

    def __init__(self, folder: Path) -> None:
        # The simulated cluster leaves its address where other jobs would look for one.
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "disabled",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.runners.kill_cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self._environment,
        )
        self.address, self.second_raylet = self._read()

    def repair(self) -> None:
        """Put a new second node in the place of a dead one."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.address, self.second_raylet = self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in [*descendants(self._process.pid), self._process.pid]:
                kill(pid)

    def actors(self) -> list[int]:
        """The worker processes that run our actors now."""
        return [pid for pid in descendants(self._process.pid) if any(name in command(pid) for name in ACTORS)]

    def start_job(self, audio: Path, lake: Path, log: Path) -> subprocess.Popen[bytes]:
        """A driver on this cluster; what it prints goes to `log`."""
        arguments = [sys.executable, "-m", "tests.runners.kill_driver", str(audio), str(lake)]
        environment = {**self._environment, ADDRESS_VARIABLE: self.address}
        with log.open("wb") as output:
            return subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)

    def _read(self) -> tuple[str, int]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *facts = line.split()
            if word == WORD:
                return facts[0], int(facts[1])
        raise AssertionError("the simulated cluster did not start")


class KillMatrix:
    """One corpus, one cluster, and the rows of the job that nobody disturbed."""

    def __init__(self, nodes: Nodes, folder: Path, num_recordings: int) -> None:
        self._nodes, self._folder, self._num_recordings = nodes, folder, num_recordings
        self._audio = folder / "audio"
        self._audio.mkdir()
        cut_clips(self._audio, num_recordings, clip_s=1.5)
        self._num_lakes = 0
        lake = self._new_lake()
        assert self._ended(self._start(lake)) == 0, self._log.read_text()
        self.expected = rows_of(lake)
        assert sum(row.startswith("recordings") for row in self.expected) == num_recordings

    def try_one(self, victim: str, chance: random.Random) -> Outcome:
        """Kill once at a random moment, then run the same command until it says that all is done."""
        lake, moment = self._new_lake(), Moment.any_of(self._num_recordings, chance)
        job = self._start(lake)
        outcome = Outcome(victim, moment, self._killed(victim, moment, job, chance))
        outcome.exit_codes.append(self._ended(job))
        while outcome.exit_codes[-1] != 0 and len(outcome.exit_codes) < MAX_RUNS:
            outcome.exit_codes.append(self._ended(self._start(lake)))
        self._nodes.repair()
        found = rows_of(lake)
        outcome.num_lost = (self.expected - found).total()
        outcome.num_doubled = (found - self.expected).total() + num_stored_twice(lake)
        with open_lake(lake) as reader:
            outcome.ledger_sums = reader.status().ledger.difference_s == 0.0
        return outcome

    def _killed(self, victim: str, moment: Moment, job: subprocess.Popen[bytes], chance: random.Random) -> bool:
        while job.poll() is None and self._num_answered() < moment.num_answered:
            time.sleep(LOOK_EVERY_S)
        time.sleep(moment.delay_s)
        while job.poll() is None:
            if victim == "worker":
                victims = sorted(self._nodes.actors())
                pid = chance.choice(victims) if victims else None
            else:
                pid = job.pid if victim == "driver" else self._nodes.second_raylet
            if pid is not None:
                return kill(pid)
            # The job has not started its actors yet.
            time.sleep(LOOK_EVERY_S)
        return False

    def _new_lake(self) -> Path:
        self._num_lakes += 1
        return self._folder / f"lake-{self._num_lakes}"

    def _start(self, lake: Path) -> subprocess.Popen[bytes]:
        self._log = self._folder / f"{lake.name}.log"
        return self._nodes.start_job(self._audio, lake, self._log)

    def _num_answered(self) -> int:
        """What the driver printed last; -1 before its first line."""
        numbers = [line for line in self._log.read_text(errors="replace").splitlines() if line.isdecimal()]
        return int(numbers[-1]) if numbers else -1

    def _ended(self, job: subprocess.Popen[bytes]) -> int:
        """A job's exit code; one that hangs is killed, and so failed."""
        try:
            return job.wait(RUN_S)
        except subprocess.TimeoutExpired:
            job.kill()
            return job.wait()


@contextmanager
def kill_matrix(num_recordings: int) -> Iterator[KillMatrix]:
    """A cluster, and a job on it that was not disturbed."""
    # Not below a test's own folder: the path of a socket of Ray has at most 107 bytes.
    with TemporaryDirectory(prefix="mmer-kills-", ignore_cleanup_errors=True) as folder:
        nodes = Nodes(Path(folder))
        try:
            yield KillMatrix(nodes, Path(folder), num_recordings)
        finally:
            nodes.close()


def rows_of(lake: Path) -> Rows:
    """What readers see, a text per row, without the names of runs and commits; and which model each corpus follows."""
    rows = Counter(f"{table} {row}" for table, some in contents(lake).items() for row in some)
    with open_lake(lake) as reader:
        rows.update(f"active {row}" for row in reader.sql("SELECT corpus, scorer FROM active_scorers").to_pylist())
    return rows


def num_stored_twice(lake: Path) -> int:
    """Committed rows whose key another committed row has. Views would show one of them."""
    with connect_internal(Lake(lake, to_read=True)) as connection:
        return sum(
            connection.execute(f"SELECT count(*) - count(DISTINCT ({key})) FROM internal.{table}").fetchall()[0][0]
            for table, key in stored_keys().items()
        )


def stored_keys() -> dict[str, str]:
    """Table -> its key. A file or an audio that is answered in two commits would have two rows."""
    names = {table: [name for name in SORT_KEYS[table] if name != "day"] for table in EVERY_TABLE}
    more = {"recordings": ["corpus"], "emotions": ["heard_key", "scorer"], "calls": ["heard_key", "scorer"]}
    return {table: ", ".join([*keys, *more.get(table, ["heard_key"])]) for table, keys in names.items()}


def descendants(pid: int) -> list[int]:
    """The processes below one, by /proc (Linux)."""
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
        found += [below for child in children for below in (child, *descendants(child))]
    return found


def command(pid: int) -> str:
    """A process's command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def kill(pid: int) -> bool:
    """`kill -9`; False where the process has ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
