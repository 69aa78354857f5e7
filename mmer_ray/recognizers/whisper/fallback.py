"""When a text is not believed, and how another one is looked for.

The reference samples at rising temperatures. CTranslate2 draws from a generator per thread that a caller cannot set
back, so a sampled text would depend on what was sampled before it, in whose company. The second search here has no
chance in it: a wider beam that may not write a run of tokens twice.
"""

from __future__ import annotations

import zlib

from mmer_ray.recognizers.whisper.network import Generated, Search

MAX_COMPRESSION_RATIO = 2.4
"""Text that zlib packs better repeats itself (Radford et al. 2023, section 4.5, as the next two)."""
MIN_LOGPROB = -1.0
MAX_NO_SPEECH_P = 0.6
COMPRESSION = "compression_ratio"
LOGPROB = "log_probability"


def second_search(first: Search) -> Search:
    """How a text is looked for once the first was not believed."""
    return Search(2 * first.beam_width, patience=2.0, repetition_penalty=1.1, no_repeat_ngram=3)


def why_not_believed(text: str, generated: Generated) -> str | None:
    """Why a chunk is decoded a second time; None where its text stands. Silence is not decoded again."""
    if compression_ratio(text) > MAX_COMPRESSION_RATIO:
        return COMPRESSION
    if generated.logprob < MIN_LOGPROB and generated.no_speech_p <= MAX_NO_SPEECH_P:
        return LOGPROB
    return None


def compression_ratio(text: str) -> float:
    """Length of a text over its length once packed by zlib."""
    packed = text.encode()
    return len(packed) / len(zlib.compress(packed))


def better(first: tuple[str, Generated], second: tuple[str, Generated]) -> Generated:
    """Of two texts, each with its search's answer: one that does not repeat itself, then the more probable."""
    return max(first, second, key=lambda one: (compression_ratio(one[0]) <= MAX_COMPRESSION_RATIO, one[1].logprob))[1]
