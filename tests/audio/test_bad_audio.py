"""Every case of the reliability table ends as the table says."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Window
from mmer_ray.sources.uris import local_uri
from tests.bad_audio.case import Case
from tests.bad_audio.cases import all_cases, write_cases

CASES = all_cases()
BATCH = DecodeOptions()
ONLINE = DecodeOptions(max_duration_s=600, max_decoded_bytes=256 << 20, max_file_bytes=25 << 20)
MAX_RSS_KB = 256 << 10
MAX_CASE_S = 90.0
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Case id -> uri of its file."""
    return write_cases(tmp_path_factory.mktemp("bad_audio"), CASES)


@pytest.fixture(scope="module")
def batch_decoder() -> Iterator[Decoder]:
    with Decoder(BATCH) as decoder:
        yield decoder


def recording_of(uri: str) -> Recording:
    return Recording(uri=uri, root=local_uri(str(Path(uri.removeprefix("file://")).parent).encode()))


def outcome(decoder: Decoder, uri: str) -> tuple[ErrorCode | None, frozenset[Flag]]:
    """How decoding ends: the code, or None and the flags."""
    try:
        *windows, facts = decoder.decode(recording_of(uri))
    except AudioError as exc:
        return exc.code, frozenset()
    assert isinstance(facts, AudioFacts)
    assert all(isinstance(window, Window) for window in windows)
    assert max(window.end_s for window in windows if isinstance(window, Window)) == facts.duration_s
    return None, frozenset(facts.flags)


def test_the_table_is_complete() -> None:
    assert len(CASES) == len({case.id for case in CASES}) == 121


@pytest.mark.parametrize("case", [case for case in CASES if case.id != "G20_noperm"], ids=lambda case: case.id)
def test_a_case_ends_as_wanted(case: Case, corpus: dict[str, str], batch_decoder: Decoder) -> None:
    began = time.monotonic()
    if case.online:
        with Decoder(ONLINE) as decoder:
            code, flags = outcome(decoder, corpus[case.id])
    else:
        code, flags = outcome(batch_decoder, corpus[case.id])
    assert code == case.code
    assert case.flags <= flags <= case.flags | case.also
    # Ten hours of good audio may take as long as a crowded machine makes them.
    assert case.is_long or time.monotonic() - began < MAX_CASE_S


def test_a_file_without_read_permission_is_refused_even_where_tests_run_as_root(corpus: dict[str, str]) -> None:
    seen: list[ErrorCode | None] = []

    def attempt() -> None:
        # Of this thread alone, and of the child that it starts.
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        with Decoder(BATCH) as decoder:
            seen.append(outcome(decoder, corpus["G20_noperm"])[0])

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert seen == [ErrorCode.PERMISSION]


def test_the_child_that_decoded_all_cases_stayed_small(corpus: dict[str, str], batch_decoder: Decoder) -> None:
    assert len(corpus) == len(CASES)
    assert batch_decoder.peak_rss_kb() <= MAX_RSS_KB
