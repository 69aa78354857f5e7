"""The member `onnx`, over small models that its library loads as it loads published ones."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx_asr.asr import TimestampedResult

from mmer_ray.errors import PreflightError, ProfileError, UsageError
from mmer_ray.models import members
from mmer_ray.models.onnx_asr_folder import read_folder
from mmer_ray.profiles import TranscribeOptions, load_profile
from mmer_ray.recognizers.interface import Chunk, Recognizer, Transcript
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.recognizers.onnx import MIN_SAMPLES, timed_words
from mmer_ray.records import SAMPLE_RATE_HZ, Expected
from mmer_ray.stages.preflight import preflight_models
from tests.models.makers import COMMIT, hub_snapshot
from tests.recognizers.onnx_makers import gigaam_ctc, loud_word_ctc, nemo_ctc, nemo_tdt
from tests.recognizers.whisper.makers import voice

MAKERS: dict[str, Callable[[Path], Path]] = {
    "nemo-conformer-ctc": nemo_ctc,
    "nemo-conformer-tdt": nemo_tdt,
    "nemo-conformer-rnnt": lambda folder: nemo_tdt(folder, model_type="nemo-conformer-rnnt"),
    "gigaam-v2-ctc": gigaam_ctc,
}
ASKED = [voice(1, 7), voice(2, 2.4), voice(3, 0.3)]


def loaded(folder: Path, **options: object) -> Recognizer:
    return load_recognizer(TranscribeOptions(model=f"onnx:{folder}", **options))


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def recognizer(folder: Path) -> Recognizer:
    return loaded(folder)


@pytest.fixture(scope="module")
def answers(recognizer: Recognizer) -> list[Transcript]:
    """What each of the chunks reads like alone."""
    return [answer for chunk in ASKED for answer in recognizer.transcribe([chunk])]


def test_words_are_in_order_apart_and_inside_the_chunk_each_with_a_probability(answers: list[Transcript]) -> None:
    assert sum(len(one.words) for one in answers) > 10
    for chunk, answer in zip(ASKED, answers, strict=True):
        ends_s = [0.0, *(word.end_s for word in answer.words)]
        for before_s, word in zip(ends_s, answer.words, strict=False):
            assert before_s <= word.start_s <= word.end_s <= len(chunk.samples) / SAMPLE_RATE_HZ
            assert 0 < word.p <= 1
            assert word.word == word.word.strip() != ""
            assert "<" not in word.word
        assert answer.logprob is None or answer.logprob < 0
    assert json.dumps([answer.words for answer in answers]), "plain numbers, no arrays"


def test_a_chunk_reads_exactly_the_same_alone_and_among_fifty_others(
    recognizer: Recognizer, answers: list[Transcript]
) -> None:
    company = [voice(seed, 0.2 + seed % 10) for seed in range(50)]
    # Of the same lengths too.
    company += [voice(60 + seed, len(chunk.samples) / SAMPLE_RATE_HZ) for seed, chunk in enumerate(ASKED)]
    mixed = [*company[:17], *ASKED[:2], *company[17:], ASKED[2]]
    together = recognizer.transcribe(mixed)
    assert [together[17], together[18], together[-1]] == answers


@pytest.mark.parametrize(
    "poison",
    [
        np.empty(0, dtype=np.int16),
        np.ones(1, dtype=np.int16),
        np.ones(MIN_SAMPLES, dtype=np.int16),
        np.zeros(30 * SAMPLE_RATE_HZ, dtype=np.int16),
        np.tile(np.array([-32_768, 32_767], dtype=np.int16), 15 * SAMPLE_RATE_HZ),
    ],
    ids=["nothing", "one sample", "the shortest", "silence", "full scale"],
)
def test_what_is_no_speech_changes_nobody_elses_answer(
    recognizer: Recognizer, answers: list[Transcript], poison: np.ndarray
) -> None:
    together = recognizer.transcribe([Chunk(poison), ASKED[0], Chunk(poison), *ASKED[1:]])
    assert [together[1], *together[3:]] == answers
    assert together[0] == together[2]


def test_several_threads_read_at_once_as_one_after_the_other(recognizer: Recognizer, answers: list[Transcript]) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recognizer.transcribe, [ASKED] * 12)) == [answers] * 12


def test_a_word_lies_where_its_sound_is(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 10, 4 * SAMPLE_RATE_HZ)
    for at_s in (1.0, 2.6):
        begin = round(at_s * SAMPLE_RATE_HZ)
        samples[begin : begin + SAMPLE_RATE_HZ // 4] *= 500
    (answer,) = loaded(loud_word_ctc(tmp_path)).transcribe([Chunk(samples.astype(np.int16))])
    assert [word.word for word in answer.words] == ["a", "a"]
    assert [word.start_s for word in answer.words] == pytest.approx([1.0, 2.6], abs=0.09)


def test_tokens_make_words_that_last_a_frame_more_and_end_where_the_next_begins() -> None:
    tokens = [" he", "llo", ".", " ", "you", " <unk>", " I"]
    result = TimestampedResult("", [0.0, 0.16, 0.4, 0.48, 0.48, 0.6, 0.96], tokens, [np.log(0.5)] * len(tokens))
    words = list(timed_words(result, 0.08, 1.0))
    assert [(word.word, word.start_s, word.end_s) for word in words] == [
        ("hello.", 0.0, pytest.approx(0.48)),
        ("you", 0.48, pytest.approx(0.56)),
        ("I", 0.96, 1.0),
    ]
    assert [word.p for word in words] == pytest.approx([0.5] * 3)


def test_loading_and_reading_never_open_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert loaded(nemo_ctc(tmp_path)).transcribe([voice(1, 2)])[0].words


def test_a_model_in_the_hubs_cache_is_found_at_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    nemo_ctc(hub_snapshot(tmp_path, "owner/name"))
    profile = load_profile("synthetic", [f"transcribe.model=onnx:owner/name@{COMMIT}"])
    assert preflight_models(profile)["transcribe.model"].ref.kind == "onnx_asr"
    missing = load_profile("synthetic", [f"transcribe.model=onnx:owner/other@{COMMIT}"])
    with pytest.raises(PreflightError, match=rf"mmer models fetch --set transcribe\.model=onnx:owner/other@{COMMIT}"):
        preflight_models(missing)


def test_without_the_extra_the_preflight_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("synthetic", [f"transcribe.model=onnx:{nemo_ctc(tmp_path)}"])
    monkeypatch.setattr(members, "find_spec", lambda name: None)
    with pytest.raises(PreflightError, match=r"transcribe\.model: .*onnx-asr .*uv pip install .*'\.\[onnx\]'"):
        preflight_models(profile)
    with pytest.raises(PreflightError, match="not installed"):
        load_recognizer(profile.transcribe)


@pytest.mark.parametrize("model_type", ["nemo-conformer-aed", "whisper", None])
def test_a_model_that_gives_no_times_is_refused_before_work_begins(tmp_path: Path, model_type: str | None) -> None:
    (nemo_ctc(tmp_path) / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(PreflightError, match=rf"model_type {model_type!r}; those that give times of words: nemo"):
        preflight_models(load_profile("synthetic", [f"transcribe.model=onnx:{tmp_path}"]))


def test_a_model_without_one_of_its_networks_is_refused_by_name(tmp_path: Path) -> None:
    (nemo_tdt(tmp_path) / "decoder_joint-model.onnx").unlink()
    with pytest.raises(PreflightError, match=r"has no decoder_joint-model\.onnx: copy the model again"):
        preflight_models(load_profile("synthetic", [f"transcribe.model=onnx:{tmp_path}"]))


def test_full_precision_is_taken_where_both_are_there_and_int8_where_it_is_alone(tmp_path: Path) -> None:
    folder = nemo_ctc(nemo_ctc(tmp_path), name="model.int8", seed=1)
    assert read_folder(folder).quantization is None
    (folder / "model.onnx").unlink()
    assert read_folder(folder).quantization == "int8"
    assert loaded(folder).transcribe([voice(1, 2)])[0].words


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (nemo_ctc(tmp_path) / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(PreflightError, match=r"onnx_asr model in .* cannot be loaded: .*model\.onnx"):
        loaded(tmp_path)


def test_one_language_is_a_label_and_several_are_refused(tmp_path: Path) -> None:
    folder = nemo_ctc(tmp_path)
    (unnamed,) = loaded(folder).transcribe([ASKED[0]])
    (named,) = loaded(folder, languages=("de",)).transcribe([ASKED[0]])
    assert (unnamed.language, named.language, named.language_p) == (None, "de", None)
    assert unnamed.words == named.words
    with pytest.raises(ProfileError, match=r"transcribe\.languages: .*cannot tell languages apart"):
        loaded(folder, languages=("de", "en"))


def test_a_language_that_a_chunk_is_told_is_its_label_and_what_cannot_be_heeded_is_refused(tmp_path: Path) -> None:
    folder = nemo_ctc(tmp_path)
    unnamed, german = loaded(folder), loaded(folder, languages=("de",))
    french = Expected(languages=("fr",))
    told, short = unnamed.transcribe([one._replace(expected=french) for one in (ASKED[0], Chunk(ASKED[0].samples[:9]))])
    assert (told.language, short.language) == ("fr", "fr")
    assert told.words == unnamed.transcribe([ASKED[0]])[0].words
    unnamed.check_expected(french)
    german.check_expected(Expected(languages=("de",)))
    for member, expected, field in (
        (german, french, "languages"),
        (unnamed, Expected(languages=("fr", "de")), "languages"),
        (unnamed, Expected(keywords=("Ann",)), "keywords"),
        (unnamed, Expected(prompt="so"), "prompt"),
    ):
        with pytest.raises(UsageError, match=f"^{field}: "):
            member.check_expected(expected)
