"""F and G: files that name other files or hosts, names that break tools, and names that lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from mmer_ray.errors import ErrorCode
from tests.bad_audio.case import Case, Make, bad, odd, written
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice

SECRET = "../outside/secret.wav"
"""A good recording beside the corpus's folder; nothing in the corpus may reach it."""
SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 18098 RTP/AVP 0\r\n"
MPD = (
    b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    b"<Representation><BaseURL>000_good.wav</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
)


def cases() -> list[Case]:
    return [*_followed(), *_named(), *_linked()]


def _followed() -> list[Case]:
    hls = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:3,\n%s\n#EXT-X-ENDLIST\n"
    refused = ErrorCode.FORBIDDEN_FORMAT
    return [
        bad("F01_hls_local", ".wav", lambda: hls % b"000_good.wav", refused),
        bad("F02_hls_http", ".wav", lambda: hls % b"http://127.0.0.1:18099/x.wav", refused),
        bad("F03_ffconcat", ".wav", lambda: b"ffconcat version 1.0\nfile 000_good.wav\n", refused),
        odd("F04_ffconcat_abs", _absolute_concat, refused),
        bad("F05_sdp", ".wav", lambda: SDP, refused),
        bad("F06_mpd", ".wav", lambda: MPD, refused),
    ]


def _absolute_concat(path: Path) -> None:
    path.write_text(f"ffconcat version 1.0\nfile '{(path.parent / SECRET).resolve()}'\n")


def _named() -> list[Case]:
    names: dict[str, str | bytes] = {
        "G01_unicode": "звук音声🎧.wav",
        "G02_nfd": "cafe\u0301.wav",
        "G02b_nfc": "caf\u00e9.wav",
        "G03_newline": "line\nbreak.wav",
        "G04_quotes": 'it\'s "q" $(id) `id` ; & | x.wav',
        "G05_dash": "-dash.wav",
        "G06_pct": "a%20b?c=d#e+f.wav",
        "G07_glob": "glob[1]*?{a,b}.wav",
        "G08_colon": "concat:a.wav",
        "G09_rtl": "abc\u202evaw.wav",
        "G10_255": "n" * 251 + ".wav",
        "G11_nonutf8": b"caf\xe9\xff.wav",
        "G12_case_a": "Case.wav",
        "G12b_case_b": "case.wav",
    }
    return [Case(id, name, written(lambda: wav16(voice()))) for id, name in names.items()]


def _linked() -> list[Case]:
    return [
        Case("G13_symlink", "G13_symlink.wav", _link("000_good.wav")),
        odd("G14_broken", _link("nowhere.wav"), ErrorCode.NOT_FOUND),
        odd("G15_loop", _link("G15_loop.wav"), ErrorCode.SYMLINK_LOOP),
        odd("G16_escape", _link(SECRET), ErrorCode.OUTSIDE_ROOT),
        odd("G17_devzero", _link("/dev/zero"), ErrorCode.NOT_A_FILE),
        odd("G18_dir", lambda path: path.mkdir(), ErrorCode.NOT_A_FILE),
        odd("G19_fifo", lambda path: os.mkfifo(path), ErrorCode.NOT_A_FILE),
        odd("G20_noperm", _unreadable, ErrorCode.PERMISSION),
        odd("G21_missing", lambda path: None, ErrorCode.NOT_FOUND),
    ]


def _link(target: str) -> Make:
    return lambda path: path.symlink_to(target)


def _unreadable(path: Path) -> None:
    path.write_bytes(wav16(voice()))
    path.chmod(0)
