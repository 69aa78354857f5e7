"""What a policy forbids to infer is neither in a recording's player nor in its transcript's file, should a lake hold it
all the same. The search, lists and exports of many recordings show what the lake's views hold."""

from __future__ import annotations

from dataclasses import replace

from mmer_ray.lake.conversation import Conversation
from mmer_ray.records import Emotion, Utterance

POLICY = "policy"
"""Reason for which there is no label."""


def without_withheld(conversation: Conversation) -> Conversation:
    """The conversation without the emotions that a policy withholds; their rows say so."""
    return replace(conversation, utterances=tuple(map(_without_withheld, conversation.utterances)))


def _without_withheld(one: Utterance) -> Utterance:
    if all(emotion.skip_reason != POLICY for emotion in one.emotions):
        return one
    kept = tuple(Emotion(e.scorer, None, skip_reason=POLICY) if e.skip_reason == POLICY else e for e in one.emotions)
    return replace(one, emotions=kept)
