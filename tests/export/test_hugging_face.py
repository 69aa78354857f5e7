"""The folder of a Hugging Face dataset: its card's YAML, the features in the schema's metadata, the rows."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from mmer_ray.export import hugging_face
from mmer_ray.export.hugging_face import HuggingFaceFolder
from mmer_ray.records import Emotion
from tests.export.makers import TALK, conversation, spoken

FELT = Emotion("mmer-12ab", "angry", {"angry": 0.75, "sad": 0.25}, 0.75, valence=-0.5)
SPOKEN = replace(spoken(1.0, ["so", "what"]), emotions=(FELT,), language="en")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with HuggingFaceFolder(tmp_path) as writer:
        writer.add(conversation(TALK))
        writer.add(conversation([SPOKEN], "b"))
        writer.add(conversation([], "c"))
    return tmp_path


def card_of(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    card: dict[str, Any] = yaml.safe_load(head)
    return card


def test_the_card_names_a_configuration_for_each_table_and_their_files(folder: Path) -> None:
    configs = {config["config_name"]: config for config in card_of(folder)["configs"]}

    assert set(configs) == {"utterances", "recordings"}
    assert configs["utterances"]["default"] is True
    for name, config in configs.items():
        ((split, pattern),) = ((one["split"], one["path"]) for one in config["data_files"])
        assert split == "train"
        assert [path.parent.name for path in folder.glob(pattern)] == [name]


def test_every_column_has_a_feature_and_audio_is_one(folder: Path) -> None:
    for name in ("utterances", "recordings"):
        schema = pq.read_schema(next((folder / name).glob("*.parquet")))
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        assert list(features) == schema.names
        if name == "recordings":
            assert features["audio"] == {"_type": "Audio"}
            assert features["duration_s"] == {"dtype": "float64", "_type": "Value"}
        else:
            assert features["words"][0]["word"] == {"dtype": "string", "_type": "Value"}


def test_the_rows_are_the_conversations(folder: Path) -> None:
    utterances = pq.read_table(folder / "utterances").to_pylist()
    recordings = pq.read_table(folder / "recordings").to_pylist()

    assert [one["text"] for one in utterances] == ["hello there", 'so "what" now', "so what"]
    assert utterances[2] == {
        "recording_id": "id-b",
        "corpus": "calls",
        "utterance_idx": 0,
        "channel": 0,
        "speaker": "S1",
        "role": None,
        "start_s": 1.0,
        "end_s": 2.0,
        "text": "so what",
        "language": "en",
        "words": [
            {"word": "so", "start_s": 1.0, "end_s": 1.5, "p": 0.9},
            {"word": "what", "start_s": 1.5, "end_s": 2.0, "p": 0.9},
        ],
        "scorer": "mmer-12ab",
        "emotion": "angry",
        "probabilities": [{"label": "angry", "p": 0.75}, {"label": "sad", "p": 0.25}],
        "confidence": 0.75,
        "valence": -0.5,
        "arousal": None,
        "dominance": None,
    }
    assert [one["audio"] for one in recordings] == [
        {"bytes": None, "path": f"/calls/{name}.wav"} for name in ("a", "b", "c")
    ]
    assert [one["num_utterances"] for one in recordings] == [2, 1, 0]


def test_rows_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hugging_face, "FLUSH_ROWS", 4)

    with HuggingFaceFolder(tmp_path) as writer:
        for number in range(6):
            writer.add(conversation(TALK, str(number)))

    written = pq.ParquetFile(next((tmp_path / "utterances").glob("*.parquet")))
    assert written.metadata.num_row_groups == 3
    assert written.read()["recording_id"].to_pylist()[::2] == [f"id-{number}" for number in range(6)]


@pytest.mark.skipif(find_spec("datasets") is None, reason="the package datasets is not installed")
def test_the_library_itself_loads_both_tables(folder: Path) -> None:
    from datasets import Audio, load_dataset

    assert load_dataset(str(folder), split="train")["text"][0] == "hello there"
    recordings = load_dataset(str(folder), "recordings", split="train")
    assert isinstance(recordings.features["audio"], Audio)
