"""One small model for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.recognizers.whisper.recognizer import WhisperRecognizer
from tests.recognizers.whisper.makers import make_whisper


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of CTranslate2 with random weights, multilingual."""
    return make_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def whisper(whisper_folder: Path) -> WhisperRecognizer:
    """The member over it, four chunks a batch."""
    recognizer = load_recognizer(TranscribeOptions(model=f"whisper:{whisper_folder}", batch_s=120))
    assert isinstance(recognizer, WhisperRecognizer)
    return recognizer
