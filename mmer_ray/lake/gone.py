"""What a recording has lost to an erasure or to its age, as its own counts tell."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mmer_ray.records import SpeakerTurn, Utterance
from mmer_ray.tables import Row


def gone_tables(
    results: Row, calls: Sequence[Row], utterances: Sequence[Utterance], turns: Sequence[SpeakerTurn], num_words: int
) -> tuple[str, ...]:
    """The tables of which the recording's rows were removed.

    `results` is its row there, `num_words` what its utterances say they have. Lakes of version 1 did not count
    utterances: of those nothing is told.
    """
    if not results["num_utterances"]:
        return ()
    if not utterances:
        has_turns = bool(turns) or not results["speech_ms"]
        return ("utterances", "words") if has_turns else ("utterances", "words", "turns")
    lost = {
        "words": num_words > 0 and not any(one.words for one in utterances),
        "turns": results["speech_ms"] > 0 and not turns,
        "emotions": any(row["has_emotions"] for row in calls) and not any(one.emotions for one in utterances),
    }
    return tuple(name for name, is_lost in lost.items() if is_lost)


def num_erased_speakers(results: Row) -> int:
    """How many of a recording's speakers were erased."""
    return int(json.loads(results["recluster"]).get("erased_speakers", 0)) if results["recluster"] else 0
