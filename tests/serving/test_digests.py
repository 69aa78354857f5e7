"""The digest of what answers changes with models and settings that change answers, and with nothing else."""

from __future__ import annotations

import pytest

from mmer_ray.profiles import load_profile
from mmer_ray.serving.digests import answers_digest

ABSENT = 'emotion.model="/nowhere"'


def digest(*settings: str) -> bytes:
    return answers_digest(load_profile("synthetic", settings))


@pytest.mark.parametrize("given", [(), (ABSENT,)], ids=["with the models", "where a model is not on this machine"])
def test_settings_that_change_answers_change_it(given: tuple[str, ...]) -> None:
    assert digest(*given, "vad.threshold=0.4") != digest(*given)
    assert digest(*given, "serve.port=9000", "run.batch_s=60") == digest(*given)


def test_another_model_changes_it_and_a_limit_does_not() -> None:
    assert answers_digest(load_profile("embedded")) != digest()
    assert digest(ABSENT) != digest()
    assert digest("decode.max_duration_s=60") == digest()
