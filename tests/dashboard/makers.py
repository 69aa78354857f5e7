"""A small lake whose every figure can be worked out by hand, and a dashboard over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.access import LOCAL, Access, Mode, Viewer
from dashboard.guard import Guard
from dashboard.session import Dashboard, Settings, serve_pages_of
from mmer_ray.lake.batch import Batch, whole
from mmer_ray.lake.commit import append_commit
from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, Row

RUN, SCORER = "20261101T000000-abcdef", "mmer-12345678"
HOSTILE = "<img src=x onerror=alert(1)> ![](http://evil.example/a.png) ‮\"'; DROP TABLE calls; --"
FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (1, 2, 3))

Said = tuple[int, int, str | None, float | None, str, str | None]
"""Start and end in seconds, label, valence, text, role; half as sure where there is no label."""

CALM: list[Said] = [
    (0, 10, "neutral", 0.0, "hello there", "agent"),
    (10, 20, "happy", 0.5, "thank you", "customer"),
    (20, 24, None, 0.1, "mhm", "customer"),
    (30, 40, "happy", 0.7, "goodbye", "customer"),
]
ANGRY: list[Said] = [
    (0, 10, "neutral", -0.1, "hello", "agent"),
    (60, 70, "angry", -0.8, HOSTILE, "customer"),
    (70, 80, "angry", -0.9, "=refund me", "customer"),
    (100, 110, "sad", -0.4, "fine", None),
]
SHORT: list[Said] = [(0, 1, "sad", -0.96, "oh no", "customer")]
SALES: list[Said] = [(0, 5, "surprise", 0.2, "secret of sales", "customer")]

CALLS: list[tuple[str, str, date, list[Said]]] = [
    ("a" * 32, "support", FIRST, CALM),
    ("b" * 32, "support", SECOND, ANGRY),
    ("c" * 32, "support", THIRD, SHORT),
    ("d" * 32, "sales", SECOND, SALES),
]


def make_lake(address: Path, *, has_valence: bool = True, corpus: str = "support") -> Lake:
    """The calls above, and a file of `support` that failed on the second day; `corpus` is its name."""
    lake = Lake(address)
    lake.create()
    renamed = [(name, corpus if of == "support" else of, day, some) for name, of, day, some in CALLS]
    calls = [_call(*one, has_valence=has_valence) for one in renamed]
    broken = {
        "recording_id": "e" * 32, "corpus": corpus, "month": "2026-11", "day": SECOND, "uri": "/calls/broken.wav",
        "status": "failed", "error_code": "empty_file", "error_stage": "decode", "error_message": "no samples",
        "expected_ms": 9_000, "is_copy": False, "attempts": 1,
    }  # fmt: skip
    said = [row for one in renamed for row in _utterances(*one, has_valence=has_valence)]
    since = datetime(2026, 11, 4, tzinfo=UTC)
    active = [{"corpus": one, "scorer": SCORER, "activated_at": since} for one in ("sales", corpus)]
    commit_to(
        lake,
        1,
        {
            "recordings": [*calls, broken],
            "results": calls,
            "calls": calls,
            "utterances": said,
            "emotions": said,
            "active_scorers": active,
        },
    )
    return lake


def commit_to(lake: Lake, sequence: int, rows: dict[str, list[Row]]) -> None:
    """Append one commit of these rows; columns they lack are null."""
    commit_id = f"{RUN}.{sequence:05d}"
    stamp = {"run_id": RUN, "commit_id": commit_id}
    tables = {}
    for name, some in rows.items():
        filled = [{field.name: (row | stamp).get(field.name) for field in SCHEMAS[name]} for row in some]
        tables[name] = pa.Table.from_pylist(filled, SCHEMAS[name])
    append_commit(lake, Batch(sequence, commit_id, whole(tables)), RUN, SCORER)


def share_with_sales(lake: Lake) -> None:
    """Let the corpus `sales` have the audio of the second call of `support` too, whose speaker somebody has named."""
    row: Row = {
        "recording_id": "b" * 32, "corpus": "sales", "month": "2026-11", "day": SECOND, "heard_key": "heard",
        "uri": "/sales/b.opus", "status": "scored", "is_copy": True, "attempts": 1,
    }  # fmt: skip
    named = {
        "edit_id": "e1", "action": "rename", "speaker": "S1", "target": "Zoe", "author": "cleo of sales",
        "edited_at": datetime(2026, 11, 5, tzinfo=UTC),
    }  # fmt: skip
    commit_to(lake, 2, {"recordings": [row], "speaker_edits": [row | named]})


def _call(name: str, corpus: str, day: date, said: Sequence[Said], *, has_valence: bool) -> Row:
    valences = [one[3] for one in said if one[3] is not None]
    worst = min(said, key=lambda one: one[3] or 0.0)
    return {
        "recording_id": name, "corpus": corpus, "month": f"{day:%Y-%m}", "day": day, "heard_key": "heard",
        "uri": f"/calls/{name[0]}.opus", "status": "scored", "is_copy": False, "attempts": 1,
        "duration_ms": 1000 * said[-1][1], "num_speakers": 2, "language": "en", "num_utterances": len(said),
        "scorer": SCORER, "has_emotions": True, "channel_roles": ["agent", "customer"], "interruptions": len(said) - 1,
        "talk_ms": [("S1", sum(1000 * (one[1] - one[0]) for one in said))], "words_per_minute": [("S1", 100.0)],
        "silence_ms": 0, "overlap_ms": 0, "longest_monologue_ms": 1000,
        "speech_ms": 1000 * sum(one[1] - one[0] for one in said), "non_speech_ms": 0,
        **({
            "worst_window_start_ms": 1000 * worst[0], "worst_window_valence": worst[3],
            "valence_q1": valences[0], "valence_q4": valences[-1],
        } if has_valence else {}),
    }  # fmt: skip


def _utterances(name: str, corpus: str, day: date, said: Sequence[Said], *, has_valence: bool) -> Iterator[Row]:
    for index, (start_s, end_s, label, valence, text, role) in enumerate(said):
        yield {
            "recording_id": name, "corpus": corpus, "month": f"{day:%Y-%m}", "day": day, "heard_key": "heard",
            "utterance_idx": index, "channel": {"agent": 0, "customer": 1}.get(role or "", 0), "speaker": "S1",
            "speaker_is_channel": role is not None, "start_ms": 1000 * start_s, "end_ms": 1000 * end_s, "text": text,
            "num_words": len(text.split()), "overlap_ms": 0, "scorer": SCORER, "label": label,
            "p_angry": 0.9 if label == "angry" else 0.05, "confidence": 0.4 if label is None else 0.8,
            "valence": valence if has_valence else None, "skip_reason": "low_confidence" if label is None else None,
        }  # fmt: skip


def of_viewers(*viewers: Viewer) -> Access:
    """Behind a proxy at 10.0.0.5 that names these viewers in `x-user`."""
    return Access(Mode.PROXY, {one.name: one for one in viewers}, "x-user", ("10.0.0.5/32",))


@contextmanager
def dashboard_of(lake: Path, access: Access = LOCAL, audit_log: Path | None = None) -> Iterator[Dashboard]:
    """The dashboard that pages of this process show."""
    dashboard = Dashboard(Settings(str(lake), access, audit_log))
    serve_pages_of(dashboard)
    try:
        yield dashboard
    finally:
        serve_pages_of(None)
        dashboard.close()


@contextmanager
def served(
    lake: Path, route_of: Callable[[Dashboard], Route], access: Access = LOCAL, audit: Path | None = None
) -> Iterator[tuple[Dashboard, TestClient]]:
    """A route behind the guard, as the real server has it; requests come from the proxy."""
    with dashboard_of(lake, access, audit) as dashboard:
        guard = Middleware(Guard, access=access, audit=dashboard.audit)
        app = Starlette(routes=[route_of(dashboard)], middleware=[guard])
        yield dashboard, TestClient(app, base_url="http://localhost", client=("10.0.0.5", 1))
