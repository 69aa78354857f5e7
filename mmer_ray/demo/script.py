"""What is said in the demo's calls: who speaks when, in what words, with what feeling."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mmer_ray.demo.grammar import FEELINGS, Feeling, Role, Sentence, draw_sentence

NUM_TURNS_RANGE = (6, 8)
NUM_SENTENCES_WEIGHTS = {1: 0.3, 2: 0.45, 3: 0.2, 4: 0.05}
SHORT_ANSWER_SHARE = 0.08
FREE_SHARE = 0.25
# How often a speaker stays with the mood of the call rather than with the agent's or customer's usual feelings.
MOOD_SHARE = 0.45
USUAL_WEIGHTS: dict[Role, dict[Feeling, float]] = {
    "agent": {"angry": 0.17, "happy": 0.31, "neutral": 0.41, "sad": 0.11},
    "customer": {"angry": 0.36, "happy": 0.18, "neutral": 0.1, "sad": 0.36},
}


@dataclass(frozen=True)
class ScriptedTurn:
    """One turn before it is spoken."""

    role: Role
    feeling: Feeling
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        """Join the words of its sentences."""
        return " ".join(sentence.text for sentence in self.sentences)


def write_script(rng: random.Random, mood: Feeling) -> list[ScriptedTurn]:
    """Write one call, agent first, whose customer is mostly in the given mood."""
    num_turns = rng.randint(*NUM_TURNS_RANGE)
    roles: tuple[Role, Role] = ("agent", "customer")
    return [_write_turn(rng, roles[index % 2], mood) for index in range(num_turns)]


def _write_turn(rng: random.Random, role: Role, mood: Feeling) -> ScriptedTurn:
    weights = USUAL_WEIGHTS[role]
    feeling = rng.choices(FEELINGS, [weights[one] for one in FEELINGS])[0]
    if role == "customer" and rng.random() < MOOD_SHARE:
        feeling = mood
    if rng.random() < SHORT_ANSWER_SHARE:
        return ScriptedTurn(role, feeling, (draw_sentence(rng, "short", feeling, "demo", free_share=1.0),))
    num_sentences = rng.choices(list(NUM_SENTENCES_WEIGHTS), list(NUM_SENTENCES_WEIGHTS.values()))[0]
    sentences = {draw_sentence(rng, role, feeling, "demo", free_share=FREE_SHARE) for _ in range(num_sentences)}
    return ScriptedTurn(role, feeling, tuple(sorted(sentences, key=lambda one: one.text)))
