"""The audit log has a line per request and nothing that was said."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.serving.audit import Audit
from mmer_ray.serving.ended import Ended

ENDED = Ended("r1", "dialler", "POST", "/v1/audio/transcriptions", 200, 1.23456, 96_044, 3.0, None)


def lines_in(state: Path) -> list[dict[str, Any]]:
    """All lines of all days."""
    files = sorted((state / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_request_is_a_line(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit(ENDED)
    audit(Ended("r2", None, "GET", "unknown", 401, 0.001, 0, None, "missing_api_key"))
    audit.close()
    first, second = lines_in(tmp_path)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "request_id": "r1",
        "key": "dialler",
        "method": "POST",
        "route": "/v1/audio/transcriptions",
        "status": 200,
        "seconds": 1.235,
        "bytes": 96_044,
        "audio_s": 3.0,
        "code": None,
    }
    assert (second["key"], second["status"], second["code"]) == (None, 401, "missing_api_key")


def test_probes_are_not_kept(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit(Ended("r1", None, "GET", "/healthz", 200, 0.001, 0))
    audit.close()
    assert lines_in(tmp_path) == []


def test_the_log_is_its_owners_alone(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit(ENDED)
    audit.close()
    (file,) = (tmp_path / "audit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_two_gateways_write_the_same_file_without_mixing_lines(tmp_path: Path) -> None:
    audits = [Audit(tmp_path), Audit(tmp_path)]

    def write(audit: Audit) -> None:
        for _ in range(500):
            audit(ENDED)

    writers = [threading.Thread(target=write, args=(audit,)) for audit in audits]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    for audit in audits:
        audit.close()
    assert len(lines_in(tmp_path)) == 1_000


def test_a_log_that_cannot_be_written_stops_no_request_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(tmp_path)
    (tmp_path / "audit").rmdir()
    audit(ENDED)
    audit(ENDED)
    audit.close()
    assert audit.num_lost == 2
    assert "audit log cannot be written" in caplog.text
