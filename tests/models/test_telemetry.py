"""Libraries report nothing home."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mmer_ray.models.members import Member
from mmer_ray.models.telemetry import SETTINGS, silence_telemetry


def settings() -> dict[str, str | None]:
    """A loader: what a library would see when it is imported."""
    return {name: os.environ.get(name) for name in SETTINGS}


def test_a_member_is_loaded_with_telemetry_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert Member(f"{__name__}:settings", kind="ctc").load() == dict(SETTINGS)


def test_what_a_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    silence_telemetry()
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "0"


def test_the_hub_library_sees_it_before_transformers_imports_it() -> None:
    code = (
        "import mmer_ray.models.library, huggingface_hub.constants as hub, sys;"
        "sys.exit(0 if hub.HF_HUB_DISABLE_TELEMETRY else 1)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
