"""Tables of one's own, in three formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.clips import load_clip
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.utterances import Corpus, Sound
from tests.training.corpora.makers import write_csv, write_sounds

ROWS: list[dict[str, Any]] = [
    {
        "path": "a.wav",
        "speaker": "ada",
        "label": "sad",
        "text": "Oh no.",
        "valence": -0.5,
        "votes_sad": 3,
        "votes_calm": 1,
    },
    {
        "path": "b.wav",
        "speaker": "ben",
        "label": "calm",
        "text": "",
        "valence": None,
        "votes_sad": None,
        "votes_calm": None,
    },
]


def write(folder: Path, suffix: str, rows: list[dict[str, Any]]) -> Path:
    write_sounds(folder / name for name in ("a.wav", "b.wav") if not (folder / name).exists())
    path = folder / f"mine{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        write_csv(path, [json.dumps(row) for row in rows])
    else:
        cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
        write_csv(path, [",".join(line) for line in (list(rows[0]), *cells)])
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_in_any_format_gives_the_same_corpus(suffix: str, tmp_path: Path) -> None:
    corpus = read_corpus(write(tmp_path, suffix, ROWS))
    first, second = corpus.utterances
    assert (corpus.name, corpus.labels) == ("mine", ("sad", "calm"))
    assert (first.utterance_id, first.speaker, first.label, first.text) == ("a.wav", "ada", "sad", "Oh no.")
    assert first.shares == {"sad": 0.75, "calm": 0.25}
    assert first.dimensions is not None
    assert first.dimensions[0] == -0.5
    assert (second.text, second.shares, second.dimensions) == ("", None, None)


def test_a_needed_column_is_asked_for_also_behind_an_empty_line(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl", [{"path": "a.wav", "label": "sad"}])
    path.write_text(f"\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine.jsonl has no column speaker; its columns are path, label"):
        read_corpus(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_text_that_pandas_left_out_is_not_known_and_no_word(suffix: str, tmp_path: Path) -> None:
    rows = [ROWS[0] | {"text": float("nan")}, ROWS[1]]
    first, second = read_corpus(write(tmp_path, suffix, rows if suffix != ".parquet" else [
        row | {"text": str(row["text"])} for row in rows
    ])).utterances  # fmt: skip
    assert (first.text, second.text) == (None, "")


def stretch(tmp_path: Path, **cells: Any) -> Corpus:
    row = {"path": "a.wav", "speaker": "ada", "label": "sad"} | cells
    return read_corpus(write(tmp_path, ".jsonl", [row]))


def test_a_stretch_of_a_channel_is_read_alone(tmp_path: Path) -> None:
    (one,) = stretch(tmp_path, start_s=0.02, end_s=0.07, channel=0).utterances
    assert one.sound == Sound(tmp_path / "a.wav", 20, 70, 0)
    assert one.utterance_id == "a.wav#20-70"
    assert len(load_clip(one).samples) == 800


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"label": float("nan")}, r"mine.jsonl:1: label is missing \(nan\)"),
        ({"speaker": None}, r"mine.jsonl:1: speaker is missing"),
        ({"valence": 3}, r"mine.jsonl:1: valence is 3, outside of -1..1"),
        ({"valence": "high"}, r"mine.jsonl:1: valence is 'high', which is no finite number"),
        ({"sex": "unclear"}, r"mine.jsonl:1: sex is 'unclear', which is none of female, male"),
        ({"start_s": 2, "end_s": 1}, r"mine.jsonl:1: end_s is not after start_s"),
        ({"channel": -1}, r"mine.jsonl:1: channel is -1"),
        ({"votes_calm": 1}, r"mine.jsonl:1: votes_calm is 1, but calm is no label of the table"),
        ({"votes_sad": -1}, r"mine.jsonl:1: votes_sad is -1, which is no number of votes"),
        ({"path": "c.wav"}, r"mine.jsonl:1 speaks of .*c.wav, which is not there"),
    ],
)
def test_a_wrong_cell_is_refused_by_file_and_line(cells: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        stretch(tmp_path, **cells)


def test_a_table_without_a_needed_column_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "mine.csv", ["path,emotion,speaker", "a.wav,sad,ada"])
    with pytest.raises(UsageError, match=r"mine.csv has no column label; its columns are path, emotion, speaker"):
        read_corpus(path)


def test_an_utterance_that_is_there_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a.wav is there more than once \(mine.csv:2, mine.csv:3\)"):
        read_corpus(write(tmp_path, ".csv", [ROWS[0], ROWS[0], ROWS[1]]))
