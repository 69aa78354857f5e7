"""How many requests does reading a lake below s3:// take? Against moto on loopback, which has no latency: counts carry
over to other stores, seconds do not.

`PYTHONPATH=. python benchmarks/s3_requests.py --recordings 200 --commits 20` writes such a lake (no models) and prints,
for opening it, a query of figures and one conversation, each twice: requests by method and bytes that were sent.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import boto3

from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake
from tests.fault_proxy import FaultProxy
from tests.lake.makers import audio_file, job, listing
from tests.s3_server import s3_serving

KPI = "SELECT corpus, day, label, count(*) AS n, avg(valence) AS valence FROM active_emotions GROUP BY ALL"
ADDRESS = "s3://requests/lake"


def counted(name: str, proxy: FaultProxy, work: Callable[[], object]) -> None:
    """Do it; print what it asked for."""
    proxy.requests.clear()
    proxy.num_bytes = 0
    work()
    listings = sum("list-type" in path for _, path in proxy.requests)
    methods = ", ".join(f"{number} {method}" for method, number in sorted(proxy.counted().items())) or "nothing"
    print(f"{name:<28} {methods} ({listings} of them listings), {proxy.num_bytes / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--commits", type=int, default=20)
    asked = parser.parse_args()
    with s3_serving() as address, tempfile.TemporaryDirectory() as folder:
        proxy = FaultProxy(address)
        measure(proxy, Path(folder), asked.recordings, asked.commits)


def measure(proxy: FaultProxy, folder: Path, num_recordings: int, num_commits: int) -> None:
    with proxy.running() as endpoint:
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="requests")
        for number in range(num_recordings):
            audio_file(folder, f"{number}.wav")
        recordings, of_commit = listing(folder), -(-num_recordings // num_commits)
        counted("score", proxy, lambda: job(Lake(ADDRESS), recordings, recordings_per_commit=of_commit))
        counted("score again", proxy, lambda: job(Lake(ADDRESS), recordings))
        lake = Lake(ADDRESS, to_read=True)
        readers: list[LakeReader] = []
        counted("open", proxy, lambda: readers.append(LakeReader(lake)))
        for again in ("", ", again"):
            counted(f"figures{again}", proxy, lambda: readers[0].sql(KPI))
            counted(f"one conversation{again}", proxy, lambda: readers[0].conversation("7.wav"))
        counted("open, tables known", proxy, lambda: readers.append(LakeReader(lake)))


if __name__ == "__main__":
    main()
