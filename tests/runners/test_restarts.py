"""What is done again when something changes: a table, through whole jobs on the embedded models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.activation import activate
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import load_profile
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions
from mmer_ray.stages import link
from mmer_ray.stages.keys import keys_of
from tests.runners.clips import results

ASSETS = CALLS.parents[1] / "assets"
NUM_CALLS = 3

Settings = tuple[str, ...]
Change = Callable[[Path, pytest.MonkeyPatch], Settings]


def asked(calls: Path, lake: Path, settings: Settings = ()) -> JobOptions:
    return JobOptions((str(calls),), str(lake), load_profile("synthetic", ["run.runner=inprocess", *settings]))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shortest calls of the demo, one of them stereo."""
    folder = tmp_path_factory.mktemp("calls")
    for call in sorted(CALLS.glob("*.opus"), key=lambda path: path.stat().st_size)[: NUM_CALLS - 1]:
        shutil.copy(call, folder)
    stereo = min(CALLS.glob("*stereo.opus"), key=lambda path: path.stat().st_size)
    shutil.copy(stereo, folder / "stereo.opus")
    return folder


@pytest.fixture(scope="module")
def scored(calls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the calls' answers; tests work on copies of it."""
    lake = tmp_path_factory.mktemp("scored") / "lake"
    assert job.run(asked(calls, lake)).num_scored == NUM_CALLS
    return lake


def another_model(kind: str, folder: Path) -> Path:
    """A copy of an embedded model with other bytes, the same weights and so the same answers."""
    model = folder / kind
    shutil.copytree(ASSETS / kind, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config, indent=7))
    return model


def nothing(_: Path, __: pytest.MonkeyPatch) -> Settings:
    return ()


def size_cap(_: Path, __: pytest.MonkeyPatch) -> Settings:
    return ("decode.max_file_bytes=123456789", "decode.max_duration_s=40000", "decode.max_decoded_bytes=123456789")


def costs(_: Path, __: pytest.MonkeyPatch) -> Settings:
    return ("transcribe.batch_s=60", "emotion.batch_s=20", "run.batch_s=300")


def role_names(_: Path, __: pytest.MonkeyPatch) -> Settings:
    return ('link.channel_roles=["agent", "customer"]',)


def version_of_link(_: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(link, "VERSION", "next")
    return ()


def emotion_model(folder: Path, _: pytest.MonkeyPatch) -> Settings:
    return (f"emotion.model={another_model('mmer', folder)}",)


def transcriber(folder: Path, _: pytest.MonkeyPatch) -> Settings:
    return (f"transcribe.model={another_model('ctc', folder)}",)


def diarizer(folder: Path, _: pytest.MonkeyPatch) -> Settings:
    return ("diarize.max_speakers=19",)


TABLE: list[tuple[Change, dict[str, int]]] = [
    (nothing, {}),
    (size_cap, {}),
    (costs, {}),
    (role_names, {"link": NUM_CALLS}),
    (version_of_link, {"link": NUM_CALLS}),
    (emotion_model, {"emotion": NUM_CALLS}),
    (transcriber, {"decode": NUM_CALLS}),
    (diarizer, {"decode": NUM_CALLS}),
]


QUICK = (nothing, role_names, emotion_model, diarizer)
"""Changes that every run of the tests makes: one for each restart."""


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        pytest.param(change, restarts, marks=[] if change in QUICK else [pytest.mark.slow], id=change.__name__)
        for change, restarts in TABLE
    ],
)
def test_a_change_redoes_what_it_touches_and_nothing_else(
    change: Change, restarts: dict[str, int], calls: Path, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(scored, lake)
    options = asked(calls, lake, change(tmp_path, monkeypatch))
    before = results(lake)

    assert job.prepare(options).restarts == restarts
    report = job.run(options)

    assert (report.num_scored, report.num_failed) == (sum(restarts.values()), 0)
    with open_lake(lake) as reader:
        seconds = dict(reader.sql("SELECT stage_s FROM runs ORDER BY written_at").to_pylist()[-1]["stage_s"])
    did = {name for name in ("decode", "diarize", "transcribe", "emotion") if seconds.get(name)}
    assert did == DONE[next(iter(restarts), "decode")]
    # The models are copies, so what is heard and said is the same as before.
    after = results(lake)
    assert {name: after[name] for name in HEARD} == {name: before[name] for name in HEARD}
    assert job.prepare(options).num_todo == 0, "what was done is known"


HEARD = ("recordings", "utterances", "words", "turns")
DONE = {
    "decode": {"decode", "diarize", "transcribe", "emotion"},
    "emotion": {"decode", "emotion"},
    "link": set(),
}


def test_new_roles_show_without_a_model_and_without_the_audio(
    calls: Path, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(scored, lake)

    def no_models(*_: object) -> None:
        raise AssertionError("measures need no model")

    monkeypatch.setattr("mmer_ray.pipelines.corpus.Pipeline.__init__", no_models)
    job.run(asked(calls, lake, ('link.channel_roles=["agent", "customer"]',)))
    with open_lake(lake) as reader:
        rows = reader.sql(
            "SELECT DISTINCT channel, role FROM utterances WHERE speaker_is_channel ORDER BY 1"
        ).to_pylist()
    assert rows == [{"channel": 0, "role": "agent"}, {"channel": 1, "role": "customer"}]


def test_a_new_emotion_model_gives_the_same_model_the_same_clips(calls: Path, scored: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(scored, lake)
    job.run(asked(calls, lake, (f"emotion.model={another_model('mmer', tmp_path)}",)))
    with open_lake(lake) as reader:
        rows = reader.sql(
            "SELECT count(DISTINCT scorer) AS scorers, count(DISTINCT (p_angry, p_happy, p_neutral, p_sad)) AS answers "
            "FROM emotions GROUP BY recording_id, utterance_idx"
        ).to_pylist()
    assert rows
    assert {(row["scorers"], row["answers"]) for row in rows} == {(2, 1)}


def test_another_emotion_models_answers_lie_beside_the_active_ones_until_it_is_activated(
    calls: Path, scored: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(scored, lake)
    model = another_model("mmer", tmp_path)

    options = asked(calls / "stereo.opus", lake, (f"emotion.model={model}",))
    (warning,) = job.run(options).warnings

    assert f"`mmer models activate {keys_of(options.profile).scorer} --lake {lake} --corpus default`" in warning
    heard_by = "SELECT count(DISTINCT recording_id) AS num FROM "
    with open_lake(lake) as reader:
        assert reader.sql(f"{heard_by} active_emotions").to_pylist() == [{"num": NUM_CALLS}]
    activate(Lake(lake), keys_of(options.profile).scorer, "default")
    with open_lake(lake) as reader:
        assert reader.sql(f"{heard_by} active_emotions").to_pylist() == [{"num": 1}]
        assert reader.sql(f"{heard_by} emotions").to_pylist() == [{"num": NUM_CALLS}]
