"""The margin between the nearest speaker and the second nearest."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.confidence import Spans, piece_confidence, with_confidence
from mmer_ray.records import Turn

SECONDS = np.ones(5)
LABELS = np.array([0, 0, 0, 1, 1])
VECTORS = normalised(np.array([[1.0, 0.1], [1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [0.1, 1.0]]))


def test_it_is_the_simplified_silhouette_without_the_piece_itself() -> None:
    found = piece_confidence(VECTORS, SECONDS, LABELS)
    assert found is not None
    own = normalised((VECTORS[1] + VECTORS[2])[None])[0]
    other = normalised((VECTORS[3] + VECTORS[4])[None])[0]
    a, b = 1 - VECTORS[0] @ own, 1 - VECTORS[0] @ other
    assert found[0] == pytest.approx((b - a) / max(a, b), abs=1e-6)


def test_a_piece_between_two_voices_is_less_sure_than_one_in_the_midst_of_its_own() -> None:
    found = piece_confidence(VECTORS, SECONDS, LABELS)
    assert found is not None
    assert found[2] < 0.5 < min(found[0], found[1], found[3])
    assert ((found >= 0) & (found <= 1)).all()


def test_a_piece_nearer_to_the_other_speaker_and_the_only_piece_of_a_speaker_have_none() -> None:
    wrong = piece_confidence(VECTORS, SECONDS, np.array([0, 0, 0, 1, 0]))
    assert wrong is not None
    assert wrong[4] == 0.0
    assert wrong[3] == 0.0


def test_with_one_speaker_there_is_no_margin() -> None:
    assert piece_confidence(VECTORS, SECONDS, np.zeros(5, np.int64)) is None
    turns = [Turn(0.0, 1.0, 0)]
    assert with_confidence(turns, Spans(np.zeros(5), np.ones(5)), np.zeros(5, np.int64), None) == turns


def test_a_turn_has_the_mean_of_its_speakers_pieces_by_shared_seconds_or_that_of_the_nearest() -> None:
    spans = Spans(np.array([0.0, 2.0, 4.0, 1.0]), np.array([2.0, 4.0, 6.0, 3.0]))
    labels, confidence = np.array([0, 0, 0, 1]), np.array([0.8, 0.2, 0.6, 0.9])
    turns = [Turn(0.0, 3.0, 0), Turn(1.5, 2.5, 1), Turn(9.0, 9.5, 0), Turn(0.0, 1.0, 2)]
    found = [turn.confidence for turn in with_confidence(turns, spans, labels, confidence)]
    assert found[:3] == [pytest.approx(0.6), pytest.approx(0.9), pytest.approx(0.6)]
    assert found[3] is None
