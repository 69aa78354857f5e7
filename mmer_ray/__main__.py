"""`python -m mmer_ray`: the same as `mmer`."""

from __future__ import annotations

import sys

from mmer_ray.cli import main

if __name__ == "__main__":
    sys.exit(main())
