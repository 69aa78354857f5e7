"""What there is to know of a model before any weight is loaded: parameters, parts, classes. No torch.

`facts.json` holds the facts of every family and size; `python jobs/count_parameters.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmer_ray.errors import UsageError

FACTS = Path(__file__).with_name("facts.json")

SOURCES = {
    "mmer": "Ghosh et al., MMER, Interspeech 2023, arXiv 2203.16794 v5",
    "mmer_v1": "Srivastava, Ghosh and Umesh, arXiv 2203.16794 v1, 2022",
    "bridge_tokens": "Ispas, Deschamps-Berger and Devillers, ICMI 2023 companion, arXiv 2401.00536",
    "leaf_transformer": "Dutta and Ganapathy, ICASSP 2022",
    "late_fusion": "Padi et al., Odyssey 2022, arXiv 2202.08974, and ICMI 2021, arXiv 2108.02510",
    "frozen_encoder": "Whisper's encoder (Radford et al. 2022), attentive statistics (Okabe et al., Interspeech 2018)",
    "audio_classification": "any audio-classification checkpoint of the transformers library",
}
"""Family -> where it comes from."""


@dataclass(frozen=True)
class ModelFacts:
    """One family at one size. Parameters are counted without the text encoder, which has a figure of its own."""

    family: str
    size: str
    source: str
    labels: tuple[str, ...]
    parameters: int
    trainable: int
    text_encoder: int
    """Parameters of the text encoder; 0 where the text comes as features."""
    parts: dict[str, int]
    """Name of a part -> its parameters; those of the text encoder are not among the totals."""
    min_samples: int
    """The fewest samples at 16 kHz that can be judged."""
    reads_dialogue: bool


def all_facts() -> list[ModelFacts]:
    """Every family at every size, in the order of `families.FAMILIES`."""
    rows = json.loads(FACTS.read_text(encoding="utf-8"))
    return [ModelFacts(**(row | {"labels": tuple(row["labels"])})) for row in rows]


def facts_about(family: str, size: str | None = None) -> list[ModelFacts]:
    """One family at one size, or at all of them. Raises `UsageError` naming those that are known."""
    known = all_facts()
    of_family = [facts for facts in known if facts.family == family]
    if not of_family:
        raise UsageError(
            f"there is no family {family!r}; families: {', '.join(dict.fromkeys(f.family for f in known))}"
        )
    found = [facts for facts in of_family if size in (None, facts.size)]
    if not found:
        raise UsageError(f"{family} has no size {size!r}; sizes: {', '.join(facts.size for facts in of_family)}")
    return found


def facts_as_json(facts: Iterable[ModelFacts]) -> str:
    """The text of `facts.json`."""
    return json.dumps([asdict(one) for one in facts], indent=1) + "\n"
