"""Every format by its name: the files that conversations become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from mmer_ray.export.audformat import AudformatFolder
from mmer_ray.export.conversation_json import to_json
from mmer_ray.export.ctm import to_ctm
from mmer_ray.export.exported import Exported
from mmer_ray.export.hugging_face import HuggingFaceFolder
from mmer_ray.export.lhotse import LhotseFolder
from mmer_ray.export.plain_text import to_text
from mmer_ray.export.rttm import SpokenStretch, to_rttm
from mmer_ray.export.subtitles import to_srt, to_vtt
from mmer_ray.export.textgrid import to_textgrid
from mmer_ray.export.whisperx import to_whisperx
from mmer_ray.records import Utterance

FILE_ENDINGS = {
    "srt": "srt",
    "vtt": "vtt",
    "txt": "txt",
    "rttm": "rttm",
    "ctm": "ctm",
    "textgrid": "TextGrid",
    "whisperx": "json",
    "json": "json",
}
"""Formats of a file per conversation, and how its name ends."""
FOLDER_FORMATS = ("audformat", "hf", "lhotse")
"""Formats of one folder for all conversations."""
ROW_FORMATS = ("parquet",)
"""Folders of a lake's own rows (`publish/tables.py`)."""
FORMATS = (*FILE_ENDINGS, *FOLDER_FORMATS, *ROW_FORMATS)


class FolderWriter(Protocol):
    """Writes conversations into a folder, one after the other; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def add(self, one: Exported) -> None:
        """Append a conversation."""
        ...


def export(
    recording: str,
    utterances: Sequence[Utterance],
    fmt: str,
    turns: Sequence[SpokenStretch] | None = None,
    duration_s: float = 0.0,
) -> str:
    """The conversation of `recording` (its uri) as the text of a file, in one of `FILE_ENDINGS`.

    RTTM is written from `turns` where they are known: an utterance ends with its last word, a turn with the voice.
    `duration_s` is that of the recording, which a TextGrid covers. Raises `ValueError` for another format.
    """
    match fmt:
        case "srt":
            return to_srt(utterances)
        case "vtt":
            return to_vtt(utterances)
        case "txt":
            return to_text(utterances)
        case "rttm":
            return to_rttm(recording, utterances if turns is None else turns)
        case "ctm":
            return to_ctm(recording, utterances)
        case "textgrid":
            return to_textgrid(utterances, duration_s)
        case "whisperx":
            return to_whisperx(utterances)
        case "json":
            return to_json(recording, utterances)
    raise ValueError(f"unknown format of a single file {fmt!r}; valid: {', '.join(FILE_ENDINGS)}")


def open_folder(fmt: str, folder: Path) -> FolderWriter:
    """Begin one of `FOLDER_FORMATS` in an empty folder. Raises `ValueError` for another format."""
    match fmt:
        case "audformat":
            return AudformatFolder(folder)
        case "hf":
            return HuggingFaceFolder(folder)
        case "lhotse":
            return LhotseFolder(folder)
    raise ValueError(f"unknown format of a folder {fmt!r}; valid: {', '.join(FOLDER_FORMATS)}")
