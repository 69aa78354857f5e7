"""Roles and measures, from utterances alone."""

from __future__ import annotations

from mmer_ray.profiles import LinkOptions
from mmer_ray.records import ScoredRecording
from mmer_ray.stages.link import link
from tests.stages.makers import CALL, facts, utterance

SCORED = ScoredRecording(
    CALL,
    "scored",
    audio=facts(20.0, channels=2),
    utterances=(
        utterance(1, 2, "S1", channel=1, valence=-0.5, speaker_is_channel=True),
        utterance(5, 6, "S2", channel=0, valence=0.5, speaker_is_channel=True),
    ),
)


def test_a_speaker_who_is_told_by_the_channel_has_its_role() -> None:
    linked = link(SCORED, LinkOptions(channel_roles=("agent", "customer")))
    assert [one.role for one in linked.utterances] == ["customer", "agent"]


def test_a_channel_beyond_the_named_ones_and_a_mixed_one_have_no_role() -> None:
    assert [one.role for one in link(SCORED, LinkOptions(channel_roles=("agent",))).utterances] == [None, "agent"]
    mixed = ScoredRecording(CALL, "scored", audio=facts(20.0), utterances=(utterance(1, 2, "S1"),))
    assert link(mixed, LinkOptions(channel_roles=("agent",))).utterances[0].role is None


def test_roles_that_are_no_longer_named_go() -> None:
    named = link(SCORED, LinkOptions(channel_roles=("agent", "customer")))
    assert link(named, LinkOptions()) == link(SCORED, LinkOptions())


def test_the_conversation_is_measured_by_its_utterances_emotions_and_duration() -> None:
    measures = link(SCORED, LinkOptions()).measures
    assert measures is not None
    assert (measures.num_utterances, measures.silence_s, measures.worst_window_valence) == (2, 18.0, 0.0)
