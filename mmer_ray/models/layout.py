"""What a model looks like on disk: the names of its files, which of them change answers, and what each kind needs.

Pickles are no weights here: reading one can run code. No torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "MODEL_CARD.md"

WEIGHTS = ("*.safetensors", "model.bin", "*.onnx", "*.onnx.data")
"""Safetensors, CTranslate2's own format, ONNX, which keeps more than 2 GB in a file beside it."""
COUNTED = (*WEIGHTS, "*.json", "*.model", "vocab*.txt", "*_vocab.txt", "merges.txt")
"""Names of the files that change answers: weights, configurations, vocabularies. Notes beside them do not count."""
INDEX_SUFFIX = ".safetensors.index.json"
"""Of the file that says which weights lie in which of several files."""
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class Needs:
    """What a kind of model needs, and how a user names one."""

    files: tuple[tuple[str, ...], ...]
    """Each entry: patterns, at least one of which some file must match."""
    asset: str | None = None
    """Folder below `mmer_ray/assets` of the embedded model of this kind."""
    setting: str | None = None
    """The profile's key that names a model of this kind."""
    prefix: str = ""
    """What stands before the name there, where the default member reads another kind."""
    counted: tuple[str, ...] = ()
    """Patterns of the files that change answers, with a folder in front of a file inside one; empty: `COUNTED`."""


_SAFETENSORS = ((CONFIG_NAME,), ("*.safetensors",))
KINDS: Mapping[str, Needs] = {
    "ctc": Needs(_SAFETENSORS, asset="ctc", setting="transcribe.model"),
    # Without tokenizer.json faster-whisper asks the hub for one.
    "whisper": Needs(
        ((CONFIG_NAME,), ("model.bin",), ("tokenizer.json",), ("vocabulary.json", "vocabulary.txt")),
        setting="transcribe.model",
        prefix="whisper:",
    ),
    "onnx_asr": Needs(
        ((CONFIG_NAME,), ("*.onnx",), ("vocab.txt", "*_vocab.txt")), setting="transcribe.model", prefix="onnx:"
    ),
    "aligner": Needs((*_SAFETENSORS, ("vocab.json",)), setting="transcribe.align_models.LANGUAGE"),
    "speaker": Needs(_SAFETENSORS, asset="speaker", setting="diarize.model"),
    "segmentation": Needs(_SAFETENSORS, setting="diarize.model", prefix="segmentation:"),
    "speaker_embedding": Needs(_SAFETENSORS, setting="diarize.embedding_model"),
    # Its pickles are read as tensors alone: `pyannote_pipeline.py`.
    "pyannote_pipeline": Needs(
        (("config.yaml",), ("*/pytorch_model.bin",)),
        setting="diarize.model",
        prefix="pyannote:",
        counted=("config.yaml", "*/pytorch_model.bin", "*/*.npz"),
    ),
    "emotion": Needs(_SAFETENSORS, asset="mmer", setting="emotion.model"),
    "text_encoder": Needs((*_SAFETENSORS, ("tokenizer*.json", "vocab*", "*.model"))),
    "vad": Needs((("*.onnx",),)),
}
"""Kind of model -> what it needs. `whisper` is a folder of CTranslate2, `aligner` one of transformers, `onnx_asr`
one of the library of that name, `pyannote_pipeline` one of pyannote.audio 4."""


def counted_patterns(kind: str) -> tuple[str, ...]:
    """Patterns of the files of a kind that change answers."""
    return KINDS[kind].counted or COUNTED


def counted_files(path: Path, kind: str | None = None) -> list[Path]:
    """The files that change answers, sorted by name: those of a folder, or the one file itself; none where none is."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    patterns = COUNTED if kind is None else counted_patterns(kind)
    found = {file for pattern in patterns for file in path.glob(pattern)}
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def matches(file: Path, patterns: tuple[str, ...]) -> bool:
    """Whether a file's name fits one of the patterns; hidden files never do."""
    return not file.name.startswith(".") and any(fnmatchcase(file.name, pattern) for pattern in patterns)


def missing_files(kind: str, path: Path) -> list[str]:
    """What a model of this kind lacks, in words; empty where it is whole."""
    files = counted_files(path, kind)
    lacking = [
        " or ".join(patterns)
        for patterns in KINDS[kind].files
        if not any(matches(file, tuple(pattern.rpartition("/")[2] for pattern in patterns)) for file in files)
    ]
    return lacking + [name for index in files if index.name.endswith(INDEX_SUFFIX) for name in _missing_shards(index)]


def _missing_shards(index: Path) -> list[str]:
    """Files of weights that an index of the transformers library names and that are not beside it."""
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"readable {index.name}"]
    return sorted(str(name) for name in named if not (index.parent / str(name)).is_file())


def holds_pickles_only(path: Path) -> bool:
    """Whether a folder's weights come as pickles alone."""
    if not path.is_dir() or any(matches(file, WEIGHTS) for file in counted_files(path)):
        return False
    return any(matches(file, PICKLES) for file in path.iterdir())
