"""Why a recording is not published."""

from __future__ import annotations

from dataclasses import dataclass

from mmer_ray.tables import Row


class RefusalError(Exception):
    """What ends the publishing of one recording.

    `reason` is `words_do_not_fit`, `still_in_text`, `no_times`, `no_recognizer`, `audio_changed`, `still_heard`,
    `erased_speaker`, or the code of an `AudioError`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Refused:
    """A recording of which nothing is published."""

    recording_id: str
    corpus: str
    uri: str
    reason: str
    """As of `RefusalError`, or `failed`: it was never scored."""
    message: str
    """Kinds and codes, never what was said."""


def refused(row: Row, reason: str, message: str) -> Refused:
    """The refusal of a row of `choose`."""
    return Refused(row["recording_id"], row["corpus"], row["uri"], reason, message)
