"""How an optional part of this package is installed, for messages that say so."""

from __future__ import annotations


def install_command(extra: str) -> str:
    """The command that installs an extra, to be run in the folder of the source.

    It is uv's: pip has no overrides, and whisperx 3.8.6 would bring an older torch with it.

    >>> install_command("weights")
    "uv pip install --override overrides.txt '.[weights]'"
    """
    return f"uv pip install --override overrides.txt '.[{extra}]'"
