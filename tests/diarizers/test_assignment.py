"""From what the networks heard to turns, and again from what is kept of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mmer_ray.diarizers.assignment import HeardPieces
from mmer_ray.diarizers.local_reading import LocalReading, graded
from mmer_ray.diarizers.pieces import cut_pieces
from tests.diarizers.makers import heard

TALK = ("aaaaaa....aaaa", "....bbbbbb....")


def many_chunks(seed: int) -> LocalReading:
    """Six chunks of noise that overlap by half, as the network answers for half a minute."""
    rng = np.random.default_rng(seed)
    begins = np.arange(6) * 50
    return LocalReading(
        frame_samples=1_600,
        first_centre=800,
        chunk_begins=begins,
        middle_ends=np.array([*(begins[:-1] + 75), 350]),
        probabilities=graded(rng.random((6, 100, 3), np.float32)),
        active=np.repeat(rng.random((6, 10, 3)) < 0.4, 10, axis=1),
    )


def test_what_is_kept_gives_the_same_turns_and_embeddings_as_what_was_heard() -> None:
    read = many_chunks(1)
    pieces = cut_pieces(read)
    vectors = np.random.default_rng(2).standard_normal((len(pieces), 16)).astype(np.float32)
    first = HeardPieces.of(read, pieces, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    again = HeardPieces.unpacked(first.packed())
    for threshold in (0.1, 0.4, 0.9):
        labels = first.speakers(threshold, 1, 20)
        assert np.array_equal(labels, again.speakers(threshold, 1, 20))
        before, after = (one.assign(labels, 600.0, 635.0) for one in (first, again))
        assert before.turns == after.turns
        assert before.exclusive_turns == after.exclusive_turns
        assert np.array_equal(np.array(before.embeddings), np.array(after.embeddings))
    assert len(before.turns) > 1


def test_kept_again_it_is_the_same_bytes() -> None:
    kept = heard(*TALK).packed()
    assert HeardPieces.unpacked(kept).packed() == kept
    assert len(kept.embeddings) == kept.num_pieces * 4 * 2


def test_turns_say_how_sure_their_speaker_is_and_overlap_is_kept() -> None:
    one = heard(*TALK)
    answer = one.assign(one.speakers(0.4, 1, 20), 0.0, 14.0)
    assert [turn.speaker for turn in answer.turns] == [0, 1, 0]
    assert all(turn.confidence is not None and turn.confidence > 0.8 for turn in answer.turns)
    assert answer.turns[0].end_s > answer.turns[1].start_s


def test_a_window_of_one_voice_has_no_second_speaker_to_be_compared_with() -> None:
    one = heard("aaaaaaaa")
    answer = one.assign(one.speakers(0.4, 1, 20), 0.0, 8.0)
    assert {turn.confidence for turn in answer.turns} == {None}


@pytest.mark.parametrize(("least", "most", "number"), [(1, 20, 2), (1, 1, 1), (3, 3, 3)])
def test_the_fewest_and_the_most_speakers_are_kept_to(least: int, most: int, number: int) -> None:
    assert heard(*TALK).speakers(0.4, least, most).max() + 1 == number


def test_counting_speakers_again_loads_no_torch() -> None:
    script = "import sys, mmer_ray.stages.recount, mmer_ray.lake.recluster; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
