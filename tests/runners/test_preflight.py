"""What is looked at before a job starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, ErrorCode, PreflightError
from mmer_ray.lake.store import Lake
from mmer_ray.runners import preflight
from mmer_ray.runners.preflight import isolation_warning, require_room


class DecoderOf:
    """A decoder whose children say this of the network, or do not start."""

    def __init__(self, answer: str | AudioError | None) -> None:
        self._answer = answer

    def network_isolation(self) -> str | None:
        if isinstance(self._answer, AudioError):
            raise self._answer
        return self._answer


def of(answer: str | AudioError | None) -> Decoder:
    return cast(Decoder, DecoderOf(answer))


def test_a_host_that_refuses_namespaces_is_warned_of_with_the_reason_and_the_remedy() -> None:
    warning = isolation_warning(of("Operation not permitted"))
    assert warning is not None
    assert "Operation not permitted" in warning
    assert "allow unprivileged user namespaces" in warning


def test_decoders_without_network_need_no_warning() -> None:
    assert isolation_warning(of(None)) is None


def test_a_decoder_that_does_not_start_stops_the_job_before_it_begins() -> None:
    with pytest.raises(PreflightError, match="exit code 1"):
        isolation_warning(of(AudioError(ErrorCode.INTERNAL, "the decoder child ended with exit code 1")))


def test_a_lake_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreflightError, match="which is a file; name another folder"):
        require_room(Lake(tmp_path / "file" / "lake"))


def test_a_full_disk_is_refused_with_what_it_has_and_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 5 << 20

    monkeypatch.setattr(preflight.shutil, "disk_usage", cast(Any, lambda path: Usage))
    with pytest.raises(PreflightError, match="has 5 MB free, a lake needs 200 MB"):
        require_room(Lake(tmp_path / "lake"))
