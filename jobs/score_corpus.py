"""Score a corpus nightly: from the cluster itself.

    ray job submit --working-dir jobs -- python score_corpus.py s3://calls/2026-11-20 --lake s3://lake/calls

The same options, output and exit codes as `mmer score`, on the cluster that the job was submitted to.
"""

from __future__ import annotations

import sys

from mmer_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["score", "--runner", "ray", *sys.argv[1:]]))
