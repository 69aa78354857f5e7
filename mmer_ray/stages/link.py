"""Link: roles and measures of a conversation, from its utterances with emotions, turns and duration. No audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.models.members import KeyPart
from mmer_ray.profiles import LinkOptions, Profile
from mmer_ray.records import ScoredRecording, Utterance
from mmer_ray.stages.measures import measure

VERSION = "2"
"""Goes up whenever the same utterances and emotions give other measures."""


def key_part(_: Profile) -> KeyPart:
    """What the measures of given utterances hang on; the names of roles are compared as they are."""
    return {"version": VERSION}


def link(scored: ScoredRecording, options: LinkOptions) -> ScoredRecording:
    """Give speakers their roles and measure the conversation; everything else stays as it is."""
    assert scored.audio is not None, "a recording whose duration is unknown cannot be measured"
    utterances = tuple(replace(one, role=role_of(one, options.channel_roles)) for one in scored.utterances)
    return replace(scored, utterances=utterances, measures=measure(utterances, scored.audio.duration_s, scored.turns))


def role_of(utterance: Utterance, channel_roles: Sequence[str]) -> str | None:
    """The role of a speaker who is told by the channel; on a mixed channel nobody's role is known."""
    has_role = utterance.speaker_is_channel and utterance.channel < len(channel_roles)
    return channel_roles[utterance.channel] if has_role else None
