"""Runs of a small lake whose every figure can be worked out by hand, and answers of a second model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from mmer_ray.lake.batch import Batch, whole
from mmer_ray.lake.commit import append_commit
from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, Row
from tests.dashboard.makers import SCORER

OTHER_SCORER = "late_fusion-0badcafe"
FIRST_NIGHT = datetime(2026, 11, 10, 1, tzinfo=UTC)


def run_of(night: int) -> str:
    """The id of a night's run."""
    return f"{FIRST_NIGHT + timedelta(night):%Y%m%dT%H%M%S}-{night:06x}"


def add_night(
    lake: Lake,
    night: int,
    labels: Sequence[str | None],
    corpus: str = "support",
    *,
    is_over: bool = True,
    also_in: str | None = None,
) -> None:
    """A run that scored one recording, an utterance of 1 s for each label, in 2 s on the clock; it is `nightN.wav`.
    `also_in`: it scored one of this corpus too. Of a run that is not over nothing but its start is there."""
    started = FIRST_NIGHT + timedelta(night)
    row: Row = {
        "run_id": run_of(night), "status": "started", "started_at": started, "written_at": started, "profile": "calls",
        "num_planned": 1, "versions": [("mmer_ray", "1.0")], "model_digests": [("emotion", "ab" * 32)], "options": "{}",
    }  # fmt: skip
    _append_run(lake, row, 100 + 10 * night)
    if not is_over:
        return
    day = started.date() - timedelta(1)
    scored = _recording(night, labels, corpus, day)
    if also_in is not None:
        other = _recording(100 + night, labels, also_in, day)
        scored = {name: [*some, *other[name]] for name, some in scored.items()}
    _commit(lake, 10 + night, run_of(night), scored)
    spoken_ms = 1000 * len(labels)
    _append_run(
        lake,
        row
        | {
            "status": "finished", "written_at": started + timedelta(seconds=2), "wall_s": 2.0,
            "num_scored": len(scored["recordings"]), "num_received": 1, "num_failed": 0, "num_copies": 0,
            "num_unreached": 0, "num_utterances": len(labels),
            "planned_ms": spoken_ms + 1000, "scored_ms": spoken_ms + 1000, "quarantined_ms": 0, "unreached_ms": 0,
            "erased_ms": 0, "speech_ms": spoken_ms, "non_speech_ms": 1000,
            "stage_s": [("decode", 0.5), ("emotion", 1.5)],
        },
        101 + 10 * night,
    )  # fmt: skip


def _recording(night: int, labels: Sequence[str | None], corpus: str, day: date) -> dict[str, list[Row]]:
    whole_row: Row = {
        "recording_id": f"{night:032x}", "corpus": corpus, "month": f"{day:%Y-%m}", "day": day, "heard_key": "heard",
        "uri": f"/calls/night{night}.wav", "status": "scored", "is_copy": False, "attempts": 1, "scorer": SCORER,
        "duration_ms": 1000 * (len(labels) + 1), "speech_ms": 1000 * len(labels), "non_speech_ms": 1000,
        "num_speakers": 1, "num_utterances": len(labels), "has_emotions": True, "silence_ms": 1000,
    }  # fmt: skip
    said = [
        whole_row
        | {
            "utterance_idx": index, "channel": 0, "speaker": "S1", "start_ms": 1000 * index,
            "end_ms": 1000 * (index + 1), "text": f"word {index}", "num_words": 2, "overlap_ms": 0, "label": label,
            "confidence": 0.4 if label is None else 0.8, "skip_reason": None if label else "low_confidence",
        }
        for index, label in enumerate(labels)
    ]  # fmt: skip
    one = [whole_row]
    return {"recordings": one, "results": one, "calls": one, "utterances": said, "emotions": said}


def add_other_answers(
    lake: Lake,
    answers: Sequence[tuple[int, str | None, float | None]],
    recording_id: str,
    scorer: str = OTHER_SCORER,
    sequence: int = 2,
) -> None:
    """What another model says about utterances of a call of `support`: index, label, probability of anger, which is
    None where a policy withholds the answer; its other probabilities are null, its valence is 0."""
    place = {"recording_id": recording_id, "corpus": "support", "month": "2026-11", "day": date(2026, 11, 2)}
    said: list[Row] = [
        {
            **place, "heard_key": "heard", "utterance_idx": index, "scorer": scorer, "label": label,
            "p_angry": p_angry, "confidence": p_angry, "valence": None if p_angry is None else 0.0,
            "skip_reason": None if label else "policy" if p_angry is None else "low_confidence",
        }
        for index, label, p_angry in answers
    ]  # fmt: skip
    call: Row = {**place, "heard_key": "heard", "scorer": scorer, "has_emotions": True}
    _commit(lake, sequence, f"20261109T000000-{sequence:06x}", {"emotions": said, "calls": [call]}, scorer)


def _append_run(lake: Lake, row: Row, sequence: int) -> None:
    filled: dict[str, Any] = {field.name: row.get(field.name) for field in SCHEMAS["runs"]}
    lake.append("runs", pa.Table.from_pylist([filled], SCHEMAS["runs"]), sequence, row["run_id"])


def _commit(lake: Lake, sequence: int, run_id: str, rows: dict[str, list[Row]], scorer: str = SCORER) -> None:
    commit_id = f"{run_id}.{sequence:05d}"
    stamp = {"run_id": run_id, "commit_id": commit_id}
    tables = {}
    for name, some in rows.items():
        filled = [{field.name: (row | stamp).get(field.name) for field in SCHEMAS[name]} for row in some]
        tables[name] = pa.Table.from_pylist(filled, SCHEMAS[name])
    append_commit(lake, Batch(sequence, commit_id, whole(tables)), run_id, scorer)
