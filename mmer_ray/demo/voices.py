"""Who speaks and how a feeling sounds: speakers and deliveries for the synthesiser."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mmer_ray.demo.grammar import Feeling, Split

ACCENTS = (
    "en-us",
    "en-us",
    "en-gb",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-029",
    "en-us-nyc",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
# The variants of espeak-ng that are intelligible; no split shares one with another.
VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": (
        *("m1", "m2", "m3", "m4", "m6", "m8", "Alex", "Andy", "Denis", "Hugo", "Lee", "Mario", "Michael", "Nguyen"),
        *("adam", "announcer", "boris", "caleb", "david", "edward", "grandpa", "john", "marcelo", "miguel", "paul"),
        *("quincy", "rob", "sandro", "travis", "victor", "f1", "f2", "f3", "Alicia", "Andrea", "aunty", "grandma"),
        *("linda", "shelby", "zac", "kaukovalta"),
    ),
    "validation": ("m5", "f4", "max", "robert", "Annie", "norbert"),
    "demo": ("m7", "f5", "Mike", "belinda", "pablo", "steph", "Gene", "benjamin", "ed", "Henrique"),
}


@dataclass(frozen=True)
class Speaker:
    """One voice."""

    accent: str
    variant: str
    pitch: int
    """Base pitch on espeak-ng's scale of 0 to 99."""
    tract: float
    """Factor on all frequencies: above one is a shorter vocal tract."""
    rate_wpm: int
    level_dbfs: float
    """Root mean square of speech."""

    @property
    def speaker_id(self) -> str:
        """Name everything that makes this voice."""
        return f"{self.accent}+{self.variant}+p{self.pitch}+t{self.tract:.3f}"


@dataclass(frozen=True)
class Delivery:
    """How one sentence is spoken."""

    pitch: int
    pitch_range_percent: int
    rate_wpm: int
    level_dbfs: float
    tilt_db: float
    """High frequencies against low ones: a raised voice is brighter."""


@dataclass(frozen=True)
class FeelingSound:
    """A feeling's centre, around which deliveries vary."""

    pitch_offset: float
    pitch_range_percent: float
    rate_factor: float
    level_db: float
    tilt_db: float


FEELING_SOUNDS: dict[Feeling, FeelingSound] = {
    "angry": FeelingSound(8, 130, 1.17, 6, 4),
    "happy": FeelingSound(22, 230, 1.05, 3, 2),
    "neutral": FeelingSound(0, 85, 1.0, 0, 0),
    "sad": FeelingSound(-14, 35, 0.82, -5, -4),
}


def draw_speaker(rng: random.Random, split: Split, variant: str | None = None) -> Speaker:
    """Draw a speaker of a split, of the given variant or of any."""
    return Speaker(
        accent=rng.choice(ACCENTS),
        variant=variant or rng.choice(VARIANTS[split]),
        pitch=rng.randint(34, 62),
        tract=round(rng.uniform(0.93, 1.08), 3),
        rate_wpm=rng.randint(155, 195),
        level_dbfs=rng.uniform(-27, -21),
    )


def draw_delivery(rng: random.Random, speaker: Speaker, feeling: Feeling) -> Delivery:
    """Draw how this speaker says one sentence with this feeling."""
    sound = FEELING_SOUNDS[feeling]
    pitch = speaker.pitch + sound.pitch_offset + rng.gauss(0, 3)
    return Delivery(
        pitch=round(min(max(pitch, 0), 99)),
        pitch_range_percent=round(max(10, sound.pitch_range_percent * rng.uniform(0.8, 1.25))),
        rate_wpm=round(speaker.rate_wpm * sound.rate_factor * rng.uniform(0.95, 1.05)),
        level_dbfs=speaker.level_dbfs + sound.level_db + rng.gauss(0, 1.5),
        tilt_db=sound.tilt_db + rng.gauss(0, 1),
    )
