"""Whose emotions may be scored."""

from __future__ import annotations

import pytest

from mmer_ray.errors import ProfileError
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import Utterance
from mmer_ray.stages.keys import keys_of
from mmer_ray.stages.policy import EmotionPolicy

AGENT = Utterance(0.0, 1.0, 0, "S1", "good morning", speaker_is_channel=True)
CUSTOMER = Utterance(1.0, 2.0, 1, "S2", "hello", speaker_is_channel=True)
ANYBODY = Utterance(2.0, 3.0, 1, "S3", "yes")


def eu(*settings: str) -> Profile:
    return load_profile("call-centre-eu", settings)


def test_without_roles_everybody_is_scored() -> None:
    policy = EmotionPolicy.of(load_profile("embedded", ['link.channel_roles=["agent", "customer"]']))
    assert all(policy.may_score(one) for one in (AGENT, CUSTOMER, ANYBODY))
    assert policy.key_part() == {}


def test_in_the_profile_of_european_call_centres_customers_alone_are_scored() -> None:
    policy = EmotionPolicy.of(eu())
    assert [policy.may_score(one) for one in (AGENT, CUSTOMER, ANYBODY)] == [False, True, False]


def test_a_role_that_no_channel_has_is_refused_by_name() -> None:
    with pytest.raises(ProfileError, match=r"emotion\.roles: caller is the role of no channel; .* agent, customer"):
        EmotionPolicy.of(eu('emotion.roles=["caller"]'))


def test_the_policy_is_in_the_key_of_emotions_and_in_no_other() -> None:
    synthetic = ['emotion.model="embedded"', 'transcribe.model="embedded"', 'diarize.model="embedded"']
    roles = 'link.channel_roles=["agent", "customer"]'
    free, bound = (
        keys_of(load_profile("embedded", [*synthetic, roles, *more])) for more in ([], ['emotion.roles=["customer"]'])
    )
    assert (free.heard, free.scorer) == (bound.heard, bound.scorer)
    assert free.emotion != bound.emotion
    swapped = keys_of(eu(*synthetic, 'link.channel_roles=["customer", "agent"]'))
    assert swapped.emotion != bound.emotion, "who may be scored hangs on which channel is whose"
