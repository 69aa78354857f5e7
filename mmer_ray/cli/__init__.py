"""The command line, `mmer`. One file per command; results on stdout, progress and logs on stderr.

Nothing heavy is imported until a command needs it: `mmer --help` answers at once.
"""

from __future__ import annotations

from mmer_ray.cli.app import main

__all__ = ["main"]
