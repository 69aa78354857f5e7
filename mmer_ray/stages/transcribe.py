"""Transcribe: words with times, grouped into utterances. No torch: the member that a profile names brings it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.models.members import KeyPart
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.interface import Chunk as Speech
from mmer_ray.recognizers.interface import Recognizer, Transcript
from mmer_ray.recognizers.members import choose_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Window
from mmer_ray.stages.chunks import cut_chunks
from mmer_ray.stages.given import given_words
from mmer_ray.stages.utterances import HeardWord, to_utterances

VERSION = "2"
"""Goes up whenever the same windows, options and model give other utterances."""


def key_part(profile: Profile) -> KeyPart:
    """What the utterances of diarized windows hang on. Raises `PreflightError` where the model is missing."""
    # How many seconds go through the model at once changes time and memory, not answers.
    options = profile.transcribe.model_dump(mode="json", exclude={"model", "batch_s"})
    return {"version": VERSION, "options": options, **choose_recognizer(profile.transcribe).key_part()}


def transcribe(windows: Sequence[Window], recognizer: Recognizer) -> list[Window]:
    """Add utterances with words to diarized windows: same order, one out per in.

    Speech without words adds none and stays in the turns. Chunks of all windows go to the recognizer together. Given
    words are taken as they are.
    """
    given = {position: given_words(window) for position, window in enumerate(windows)}
    words = defaultdict(list, {position: some for position, some in given.items() if some is not None})
    chunks = [chunk for chunk in cut_chunks(windows, recognizer.max_chunk_s) if given[chunk.window] is None]
    speech = [Speech(windows[chunk.window].samples[chunk.begin : chunk.end]) for chunk in chunks]
    for chunk, transcript in zip(chunks, recognizer.transcribe(speech) if speech else (), strict=True):
        offset_s = windows[chunk.window].start_s + chunk.begin / SAMPLE_RATE_HZ
        words[chunk.window].extend(heard_words(transcript, offset_s))
    return [
        replace(window, utterances=to_utterances(window, sorted(words[position], key=lambda word: word.start_s)))
        for position, window in enumerate(windows)
    ]


def heard_words(transcript: Transcript, offset_s: float) -> list[HeardWord]:
    """The words of a chunk that starts `offset_s` into the recording, each with what its transcript says."""
    return [
        HeardWord(
            word.word,
            offset_s + word.start_s,
            offset_s + word.end_s,
            word.p,
            transcript.logprob if word.logprob is None else word.logprob,
            transcript.language,
            transcript.language_p,
            transcript.fallback_reason,
        )
        for word in transcript.words
    ]
