"""Whose emotions may be scored: decided before any model hears the clip, from the role of who speaks."""

from __future__ import annotations

from dataclasses import dataclass

from mmer_ray.errors import ProfileError
from mmer_ray.models.members import KeyPart
from mmer_ray.profiles import Profile
from mmer_ray.records import Emotion, Utterance
from mmer_ray.stages.link import role_of

POLICY = "policy"
"""`Emotion.skip_reason` of an utterance that no model was asked about."""


@dataclass(frozen=True, slots=True)
class EmotionPolicy:
    """The roles that a profile scores; without any, everybody is scored."""

    roles: tuple[str, ...] = ()
    channel_roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: Profile) -> EmotionPolicy:
        """Read a profile. Raises `ProfileError` for a role that no channel has: nobody would be scored."""
        roles, channel_roles = profile.emotion.roles, profile.link.channel_roles
        if unknown := [role for role in roles if role not in channel_roles]:
            raise ProfileError(
                f"emotion.roles: {', '.join(unknown)} is the role of no channel; link.channel_roles names "
                f"{', '.join(channel_roles) or 'none'}"
            )
        return cls(roles, channel_roles)

    def may_score(self, utterance: Utterance) -> bool:
        """Whether a model may be asked. On a mixed channel nobody's role is known, so that nobody is scored."""
        return not self.roles or role_of(utterance, self.channel_roles) in self.roles

    def key_part(self) -> KeyPart:
        """What the emotions hang on; empty without a policy."""
        return {"roles": list(self.roles), "channel_roles": list(self.channel_roles)} if self.roles else {}


def withheld(scorer: str) -> Emotion:
    """The answer for an utterance that may not be scored."""
    return Emotion(scorer, label=None, skip_reason=POLICY)
