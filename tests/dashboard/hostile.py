"""A lake in which everything that somebody outside may have written is an attack: words, names, paths, notes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS, Row
from tests.dashboard.lakes import RATE_HZ, write_tones
from tests.dashboard.makers import RUN, commit_to

SCRIPT = "<img src=x onerror=window.__hit=1><script>window.__hit=2</script><svg onload=window.__hit=3>"
MARKDOWN = "![p](http://evil.example/p.png) [l](http://evil.example/l) :material/home: $\\frac{1}{2}$ :red[r] **b** `c`"
SQL = "'; DROP TABLE calls; --"
TURNING = "\u202eabc \u2067\u2069\u2069\u202e"
"""Turns what follows, and ends isolation that was put around it."""
CONTROLS = "\x00\x01\x1b[31m\x7f"

ATTACK = f"{SCRIPT} {MARKDOWN} {SQL} {TURNING}"
FILE_NAME = f"<img src=x onerror=window.__hit=4> {SQL} {TURNING}.wav"
FIRST_MODEL, SECOND_MODEL = f"first {ATTACK}", f"second {ATTACK}"
CORPUS = f"<img src=x onerror=__hit=5> **b** :material/home: $\\frac{{1}}{{2}}$ '; -- {TURNING}"
"""Names a folder of the lake, with at most 255 bytes."""
LABEL = f"<b>furious</b> {MARKDOWN} {TURNING}"
RECORDING, LONG_RECORDING, FAILED = "b" * 32, "c" * 32, "e" * 32
LONG_TEXT = ("word <b>bold</b> " * 6_250)[:100_000]
DAY = date(2026, 11, 2)
DURATION_S = 40


def hostile_lake(folder: Path) -> Lake:
    """Two recordings that play and one that failed, two models, a finished run, a note and a name by people."""
    sound, other_sound = folder / FILE_NAME, folder / "long.wav"
    for path in (sound, other_sound):
        write_tones(path, DURATION_S, [])
    lake = Lake(folder / "lake")
    lake.create()
    calls = [_call(RECORDING, sound), _call(LONG_RECORDING, other_sound)]
    felt = [_felt(name, index, scorer) for name in (RECORDING, LONG_RECORDING) for index in range(3)
            for scorer in (FIRST_MODEL, SECOND_MODEL)]  # fmt: skip
    commit_to(
        lake,
        1,
        {
            "recordings": [*calls, _failed()],
            "results": calls,
            "calls": [call | {"scorer": scorer} for call in calls for scorer in (FIRST_MODEL, SECOND_MODEL)],
            "utterances": [*_said(RECORDING, f"{ATTACK} {CONTROLS}"), *_said(LONG_RECORDING, LONG_TEXT)],
            "words": _words(RECORDING, f"{ATTACK} {CONTROLS}"),
            "emotions": felt,
            "active_scorers": [{"corpus": CORPUS, "scorer": FIRST_MODEL, "activated_at": _at(4)}],
            "corpus_facts": [{"corpus": CORPUS, "legal_basis": ATTACK, "notice_given": False, "stated_by": ATTACK,
                              "stated_at": _at(4)}],
            "annotations": [_note()],
            "speaker_edits": [_name()],
        },
    )  # fmt: skip
    _append_run(lake)
    return lake


def _at(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def _place(name: str) -> Row:
    return {"recording_id": name, "corpus": CORPUS, "month": "2026-11", "day": DAY, "heard_key": "heard"}


def _call(name: str, sound: Path) -> Row:
    return _place(name) | {
        "uri": str(sound), "size_bytes": sound.stat().st_size, "container": "wav", "channels": 1, "codec": "pcm_s16le",
        "sample_rate_hz": RATE_HZ, "status": "scored", "is_copy": False, "attempts": 1, "language": ATTACK,
        "metadata": [(ATTACK, ATTACK)], "duration_ms": 1000 * DURATION_S, "num_speakers": 2, "num_utterances": 3,
        "has_emotions": True, "channel_roles": [], "interruptions": 1, "silence_ms": 0, "overlap_ms": 0,
        "talk_ms": [("S1", 20_000), (ATTACK, 10_000)], "words_per_minute": [("S1", 100.0)], "speech_ms": 30_000,
        "non_speech_ms": 10_000, "worst_window_start_ms": 10_000, "worst_window_valence": -0.8,
    }  # fmt: skip


def _failed() -> Row:
    return _place(FAILED) | {
        "uri": f"/calls/{FILE_NAME}", "status": "failed", "error_code": ATTACK, "error_stage": ATTACK,
        "error_message": f"{ATTACK} {CONTROLS}", "expected_ms": 9_000, "is_copy": False, "attempts": 1,
    }  # fmt: skip


def _said(name: str, text: str) -> list[Row]:
    """The words in question in the middle; the second speaker's id is an attack, the first one's name."""
    return [
        _place(name) | {
            "utterance_idx": index, "channel": 0, "speaker": ("S1", ATTACK, "S1")[index], "start_ms": 10_000 * index,
            "end_ms": 10_000 * (index + 1), "text": words, "language": ATTACK, "num_words": 3, "overlap_ms": 0,
        }
        for index, words in enumerate(("hello there", text, "good bye"))
    ]  # fmt: skip


def _words(name: str, text: str) -> list[Row]:
    words = text.split(" ")
    step_ms = 10_000 // len(words)
    return [
        _place(name) | {
            "utterance_idx": 1, "word_idx": index, "word": word, "start_ms": 10_000 + index * step_ms,
            "end_ms": 10_000 + (index + 1) * step_ms, "p": 0.9,
        }
        for index, word in enumerate(words)
    ]  # fmt: skip


def _felt(name: str, index: int, scorer: str) -> Row:
    label = ("angry", LABEL, None)[index] if scorer == FIRST_MODEL else "sad"
    return _place(name) | {
        "utterance_idx": index, "scorer": scorer, "label": label, "p_angry": 0.9 if scorer == FIRST_MODEL else 0.1,
        "p_sad": 0.1 if scorer == FIRST_MODEL else 0.9, "confidence": 0.9, "valence": -0.5,
        "skip_reason": None if label else ATTACK,
    }  # fmt: skip


def _note() -> Row:
    return _place(RECORDING) | {
        "utterance_idx": 1, "channel": 0, "start_ms": 10_000, "end_ms": 20_000, "rater": ATTACK, "label": LABEL,
        "annotated_at": _at(5), "verdict": "wrong", "scorer": FIRST_MODEL, "text": ATTACK,
    }  # fmt: skip


def _name() -> Row:
    return _place(RECORDING) | {
        "edit_id": "00000001", "action": "rename", "speaker": "S1", "target": ATTACK, "author": ATTACK,
        "edited_at": _at(5),
    }  # fmt: skip


def _append_run(lake: Lake) -> None:
    row: Row = {
        "run_id": RUN, "status": "finished", "started_at": _at(3), "written_at": _at(4), "profile": ATTACK,
        "options": f'{{"{ATTACK}": 1}}', "git_revision": ATTACK, "versions": [(ATTACK, ATTACK)],
        "model_digests": [(ATTACK, ATTACK)], "num_planned": 3, "num_scored": 2, "num_received": 3, "num_failed": 1,
        "num_utterances": 6, "planned_ms": 89_000, "scored_ms": 80_000, "quarantined_ms": 9_000, "speech_ms": 60_000,
        "non_speech_ms": 20_000, "wall_s": 4.0, "stage_s": [(ATTACK, 1.0)],
    }  # fmt: skip
    filled = {field.name: row.get(field.name) for field in SCHEMAS["runs"]}
    lake.append("runs", pa.Table.from_pylist([filled], SCHEMAS["runs"]), 100, RUN)
