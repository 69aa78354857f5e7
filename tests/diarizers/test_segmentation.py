"""Turns from the segmentation network and speaker embeddings: tiny random weights through the real loading code."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from mmer_ray.audio.vad import load_vad
from mmer_ray.diarizers.activity import exclusive_stretches, speaker_activity
from mmer_ray.diarizers.assignment import HeardPieces
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import choose_diarizer, load_diarizer
from mmer_ray.diarizers.pieces import cut_pieces, opinions
from mmer_ray.diarizers.speaker_count import SAME_VOICE_THRESHOLD
from mmer_ray.errors import PreflightError
from mmer_ray.models.campplus import checkpoint as campplus_checkpoint
from mmer_ray.models.campplus.config import CampplusConfig
from mmer_ray.models.campplus.model import CampplusModel
from mmer_ray.models.segmentation import checkpoint as segmentation_checkpoint
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.models.segmentation.model import SegmentationModel
from mmer_ray.profiles import DiarizeOptions, VadOptions, load_profile
from mmer_ray.records import SAMPLE_RATE_HZ, KeptPieces, Window
from mmer_ray.stages.preflight import model_refs, preflight_models
from tests.diarizers.makers import reading
from tests.stages.makers import window


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> DiarizeOptions:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(3)
    segmentation = SegmentationModel(SegmentationConfig(num_filters=8, conv_channels=6, lstm_size=5, lstm_layers=1))
    with torch.no_grad():
        # So that a network without training hears somebody, and changes its mind.
        segmentation.classifier.weight *= 30
    segmentation_checkpoint.save(segmentation, folder / "segmentation")
    tiny = CampplusConfig(
        head_channels=2, channels=8, stage_layers=(1, 1), stage_dilations=(1, 2), growth=4, bottleneck=4
    )
    campplus_checkpoint.save(CampplusModel(tiny), folder / "campplus")
    return DiarizeOptions(model=f"segmentation:{folder}/segmentation", embedding_model=f"{folder}/campplus")


@pytest.fixture(scope="module")
def diarizer(options: DiarizeOptions) -> Diarizer:
    return load_diarizer(options, load_vad(VadOptions()))


def sound(seed: int, seconds: float) -> Window:
    """Noise whose colour and level change every second."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(int(np.ceil(seconds))):
        part = rng.standard_normal(SAMPLE_RATE_HZ) * rng.choice([300, 3_000])
        parts.append(np.convolve(part, rng.standard_normal(8), "same"))
    samples = np.concatenate(parts)[: round(seconds * SAMPLE_RATE_HZ)].clip(-32_768, 32_767).astype(np.int16)
    return replace(window(0, seconds), samples=samples)


def assert_same_kept(left: KeptPieces | None, right: KeptPieces | None) -> None:
    """Embeddings of two batches differ in their last digits."""
    if left is None or right is None:
        assert left is right
        return
    assert (left.num_pieces, left.activity) == (right.num_pieces, right.activity)
    vectors = [np.frombuffer(one.embeddings, "<f2").astype(np.float32) for one in (left, right)]
    assert np.allclose(*vectors, atol=1e-3)


def test_a_window_is_diarized_the_same_alone_and_in_company(diarizer: Diarizer) -> None:
    company = [sound(1, 23.0), sound(2, 3.3), window(0, 5), replace(sound(4, 2.0), one_speaker=True), sound(5, 0.01)]
    together = diarizer.diarize(company)
    for one, answer in zip(company, together, strict=True):
        (alone,) = diarizer.diarize([one])
        assert alone.turns == answer.turns
        assert alone.exclusive_turns == answer.exclusive_turns
        assert_same_kept(alone.kept, answer.kept)
        assert np.allclose(np.array(alone.embeddings), np.array(answer.embeddings), atol=1e-5)
    assert together[0].turns, "a network without training hears something here"


def test_every_local_speaker_has_an_embedding_of_length_one_and_turns_lie_inside_the_window(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([replace(sound(1, 23.0), start_s=600.0, end_s=623.0)])
    assert {turn.speaker for turn in answer.turns} == set(range(len(answer.embeddings)))
    assert np.allclose(np.linalg.norm(np.array(answer.embeddings), axis=1), 1, atol=1e-5)
    assert all(600.0 <= turn.start_s < turn.end_s <= 623.0 for turn in answer.turns)
    assert list(answer.turns) == sorted(answer.turns, key=lambda turn: turn.start_s)
    exclusive = answer.exclusive_turns
    assert all(before.end_s <= after.start_s for before, after in pairwise(exclusive))


def test_what_is_kept_of_a_window_gives_its_turns_again(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([replace(sound(1, 23.0), start_s=600.0, end_s=623.0)])
    assert answer.kept is not None
    heard = HeardPieces.unpacked(answer.kept)
    again = heard.assign(heard.speakers(SAME_VOICE_THRESHOLD, 1, 20), 600.0, 623.0)
    assert (again.turns, again.exclusive_turns) == (answer.turns, answer.exclusive_turns)


def test_where_each_channel_is_a_party_the_detector_alone_answers(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([replace(sound(1, 5.0), one_speaker=True)])
    assert answer.embeddings == ()
    assert answer.kept is None
    assert {turn.speaker for turn in answer.turns} <= {0}


def test_nothing_is_nothing(diarizer: Diarizer) -> None:
    assert diarizer.diarize([]) == []


def test_the_key_holds_the_digests_of_both_models(options: DiarizeOptions) -> None:
    chosen = choose_diarizer(options)
    first, second = chosen.resolved_all()
    assert chosen.key_part() == {"member": "segmentation", "model": first.digest, "second_model": second.digest}


def test_the_preflight_asks_for_the_embedding_model_only_where_it_is_read(options: DiarizeOptions) -> None:
    settings = [f"diarize.model={options.model}", "diarize.embedding_model=/no/such/folder"]
    with pytest.raises(PreflightError, match=r"no speaker_embedding model in /no/such/folder: .*diarize\.embedding_"):
        preflight_models(load_profile("embedded", settings))
    assert "diarize.embedding_model" not in model_refs(load_profile("synthetic", settings[1:]))


def test_pieces_hold_one_voice_alone_and_the_network_says_which_are_two_peoples() -> None:
    pieces = cut_pieces(reading("xxxxxx....", "....xxxxx."))
    assert [(piece.local, round(piece.seconds, 1)) for piece in pieces] == [(0, 2.0), (0, 2.0), (1, 1.5), (1, 1.5)]
    assert opinions(pieces)[0, 1] == 1.0
    assert opinions(pieces)[0, -1] == -1.0


def test_both_talk_where_the_network_hears_both_and_a_word_there_is_of_one() -> None:
    heard = reading("xxxxxx....", "....xxxxx.")
    pieces = cut_pieces(heard)
    labels = np.array([piece.local for piece in pieces])
    activity_FK = speaker_activity(heard, pieces, labels)
    assert np.flatnonzero((activity_FK > 0).all(axis=1)).tolist() == list(range(40, 60))
    stretches = exclusive_stretches(heard, activity_FK)
    assert [speaker for _, _, speaker in stretches] == [0, 1]
    assert stretches[0][1] == stretches[1][0]
    assert (stretches[0][0], stretches[1][1]) == (0.0, 9.0)


def test_where_the_network_took_two_voices_for_one_the_pieces_part_them() -> None:
    heard = reading("xxxxxxxx")
    pieces = cut_pieces(heard)
    activity_FK = speaker_activity(heard, pieces, np.array([0, 0, 1, 1]))
    assert (activity_FK > 0).argmax(axis=1).tolist() == [0] * 40 + [1] * 40


def test_speech_of_a_local_speaker_whom_nobody_knows_is_not_lost() -> None:
    heard = reading("xxxx....", "......x.")
    pieces = [piece for piece in cut_pieces(heard) if piece.local == 0]
    activity_FK = speaker_activity(heard, pieces, np.zeros(len(pieces), np.int64))
    assert (activity_FK > 0).any(axis=1).sum() == 50
