"""How a model is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.models.refs import ModelRef, parse_ref

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "address", "revision", "sha256"),
    [
        ("embedded", "embedded", None, None),
        ("/models/mine", "/models/mine", None, None),
        ("package:some_models/tiny.en", "package:some_models/tiny.en", None, None),
        (f"owner/name.v2@{COMMIT}", "owner/name.v2", COMMIT, None),
        (f"owner/name@{COMMIT}#sha256={DIGEST}", "owner/name", COMMIT, DIGEST),
        (f"models/mine#sha256={DIGEST.upper()}", "models/mine", None, DIGEST),
    ],
)
def test_a_name_says_where_a_model_lies_and_is_spelled_back(
    text: str, address: str, revision: str | None, sha256: str | None
) -> None:
    ref = parse_ref("ctc", text)
    assert ref == ModelRef("ctc", address, revision, sha256)
    assert parse_ref("ctc", str(ref)) == ref


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("emotion", "owner/name@main", "40 hex digits"),
        ("emotion", "owner/name@abc123", "40 hex digits"),
        ("emotion", "folder#sha256=abc", "64 hex digits"),
        ("whisper", "embedded", "no whisper model is embedded; embedded are: ctc, speaker, emotion"),
        ("oracle", "embedded", "no kind of model 'oracle'"),
        ("ctc", " ", "is empty"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused_with_what_is_wrong(kind: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_ref(kind, text)


def test_a_folder_whose_name_looks_like_the_hub_is_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine@home").mkdir(parents=True)
    assert parse_ref("ctc", "models/mine@home") == ModelRef("ctc", "models/mine@home")
