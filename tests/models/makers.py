"""Folders that look like models, for tests of what finds them."""

from __future__ import annotations

from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLD_S = 1_700_000_000
"""A modification time long past, in seconds: younger files are not kept in the digests' cache."""


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def safetensors_folder(folder: Path, weights: bytes = b"weights") -> Path:
    """A folder that holds what a small model of ours needs; nothing in it can be loaded."""
    return fill(folder, {"config.json": b"{}", "model.safetensors": weights})


def whisper_folder(folder: Path, weights: bytes = b"weights") -> Path:
    """The layout of a Whisper converted to CTranslate2."""
    files = {"model.bin": weights, "config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a\n"}
    return fill(folder, files)


def aligner_folder(folder: Path, weights: bytes = b"weights") -> Path:
    """The layout of an aligner of transformers."""
    return fill(folder, {"config.json": b"{}", "model.safetensors": weights, "vocab.json": b'{"a": 0}'})


def hub_snapshot(cache: Path, repository: str, commit: str = COMMIT) -> Path:
    """Where the hub's cache keeps a repository at a commit."""
    return cache / f"models--{repository.replace('/', '--')}" / "snapshots" / commit
