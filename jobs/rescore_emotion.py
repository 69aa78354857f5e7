"""Ask a lake's recordings again: from the cluster itself.

    ray job submit --working-dir jobs -- python rescore_emotion.py --emotion MODEL --lake s3://lake/calls

The same options, output and exit codes as `mmer rescore`, on the cluster that the job was submitted to. It reads the
utterances from the lake and their sound from where it was; nothing is listed.
"""

from __future__ import annotations

import sys

from mmer_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["rescore", "--runner", "ray", *sys.argv[1:]]))
