"""How an optional part of this package is installed, for messages that say so."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The command that installs an extra, and where it is to be run.

    It is uv's: pip has no overrides, and whisperx 3.8.6 would bring an older torch with it.

    >>> how_to_install("weights")
    "`uv pip install --override overrides.txt '.[weights]'` in the folder of mmer_ray's source"
    """
    return f"`uv pip install --override overrides.txt '.[{extra}]'` in the folder of mmer_ray's source"
