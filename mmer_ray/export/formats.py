"""Every format by its name: the files that a conversation becomes."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.export.audformat import to_audformat
from mmer_ray.export.conversation_json import to_json
from mmer_ray.export.ctm import to_ctm
from mmer_ray.export.rttm import SpokenStretch, to_rttm
from mmer_ray.export.subtitles import to_srt, to_vtt
from mmer_ray.export.textgrid import to_textgrid
from mmer_ray.export.whisperx import to_whisperx
from mmer_ray.records import Utterance

FOLDER_FORMATS = ("audformat",)
"""Those that are a folder of several files."""
FORMATS = ("srt", "vtt", "rttm", "ctm", "textgrid", "whisperx", "json", *FOLDER_FORMATS)


def export(
    recording: str,
    utterances: Sequence[Utterance],
    fmt: str,
    turns: Sequence[SpokenStretch] | None = None,
    duration_s: float = 0.0,
) -> str:
    """The conversation of `recording` (its uri) as the text of a file, in one of `FORMATS` but `FOLDER_FORMATS`.

    RTTM is written from `turns` where they are known: an utterance ends with its last word, a turn with the voice.
    `duration_s` is that of the recording, which a TextGrid covers. Raises `ValueError` for another format.
    """
    match fmt:
        case "srt":
            return to_srt(utterances)
        case "vtt":
            return to_vtt(utterances)
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
    valid = ", ".join(name for name in FORMATS if name not in FOLDER_FORMATS)
    raise ValueError(f"unknown format of a single file {fmt!r}; valid: {valid}")


def export_folder(recording: str, utterances: Sequence[Utterance], fmt: str) -> dict[str, str]:
    """Name -> text of the files of one of `FOLDER_FORMATS`. Raises `ValueError` for another format."""
    if fmt == "audformat":
        return to_audformat(recording, utterances)
    raise ValueError(f"unknown format of a folder {fmt!r}; valid: {', '.join(FOLDER_FORMATS)}")
