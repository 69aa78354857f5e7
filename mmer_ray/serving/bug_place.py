"""What may be told of a bug: its class and where it happened. Its words may quote what was said in a recording."""

from __future__ import annotations

import traceback


def class_and_place(bug: BaseException) -> str:
    """The exception's class and the lines that it came through: those of ours, and the one that raised it."""
    frames = traceback.extract_tb(bug.__traceback__)
    # Most of a request's frames are those of the frameworks around ours.
    shown = [frame for frame in frames[:-1] if "mmer_ray" in frame.filename] + frames[-1:]
    places = "; ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in shown)
    return f"{type(bug).__qualname__} at {places}"
