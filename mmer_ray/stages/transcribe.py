"""Transcribe: words with times, grouped into utterances. No torch: the member that a profile names brings it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.models.members import KeyPart
from mmer_ray.models.resolver import resolve
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.interface import Chunk as Speech
from mmer_ray.recognizers.interface import Recognizer, Transcript
from mmer_ray.recognizers.members import aligner_refs, choose_recognizer
from mmer_ray.records import DroppedWords, Window
from mmer_ray.stages.chunks import Chunk, cut_chunks
from mmer_ray.stages.given import given_words
from mmer_ray.stages.utterances import HeardWord, to_utterances

VERSION = "4"
"""Goes up whenever the same windows, options and model give other utterances."""


def key_part(profile: Profile) -> KeyPart:
    """What the utterances of diarized windows hang on. Raises `PreflightError` where a model is missing."""
    # How many seconds go through the model at once changes time and memory, not answers.
    options = profile.transcribe.model_dump(mode="json", exclude={"model", "align_models", "batch_s"})
    aligners = {language: resolve(ref).digest for language, ref in aligner_refs(profile.transcribe).items()}
    return {
        "version": VERSION,
        "options": options,
        **choose_recognizer(profile.transcribe).key_part(),
        **({"aligners": aligners} if aligners else {}),
    }


def transcribe(windows: Sequence[Window], recognizer: Recognizer) -> list[Window]:
    """Add utterances with words to diarized windows: same order, one out per in.

    Speech without words adds none and stays in the turns. Chunks of all windows go to the recognizer together. Given
    words are taken as they are.
    """
    given = {position: given_words(window) for position, window in enumerate(windows)}
    words = defaultdict(list, {position: some for position, some in given.items() if some is not None})
    chunks = [
        chunk
        for chunk in cut_chunks(
            windows, recognizer.max_chunk_s, pack=recognizer.packs_chunks, margin_s=recognizer.margin_s
        )
        if given[chunk.window] is None
    ]
    speech = [
        Speech(
            chunk.cut(windows[chunk.window].samples),
            group=chunk.window,
            expected=windows[chunk.window].expected,
            splices=chunk.splices,
        )
        for chunk in chunks
    ]
    dropped: dict[int, list[DroppedWords]] = defaultdict(list)
    for chunk, transcript in zip(chunks, recognizer.transcribe(speech) if speech else (), strict=True):
        window_start_s = windows[chunk.window].start_s
        words[chunk.window].extend(heard_words(transcript, chunk, window_start_s))
        dropped[chunk.window].extend(dropped_words(transcript, chunk, window_start_s))
    return [
        replace(
            window,
            utterances=to_utterances(window, sorted(words[position], key=lambda word: word.start_s)),
            dropped=tuple(sorted(dropped[position], key=lambda one: one.start_s)),
        )
        for position, window in enumerate(windows)
    ]


def heard_words(transcript: Transcript, chunk: Chunk, window_start_s: float) -> list[HeardWord]:
    """The words of a chunk in seconds of the recording, each with what its transcript says."""
    words: list[HeardWord] = []
    for word in transcript.words:
        start_s, end_s = chunk.in_window(word.start_s, word.end_s)
        words.append(
            HeardWord(
                word.word,
                window_start_s + start_s,
                window_start_s + end_s,
                word.p,
                transcript.logprob if word.logprob is None else word.logprob,
                transcript.language,
                transcript.language_p,
                transcript.fallback_reason,
            )
        )
    return words


def dropped_words(transcript: Transcript, chunk: Chunk, window_start_s: float) -> list[DroppedWords]:
    """What was read in a chunk and is not believed, in seconds of the recording."""
    dropped: list[DroppedWords] = []
    for one in transcript.dropped:
        # Each end by itself: a stretch may go over several parts of the chunk.
        start_s, _ = chunk.in_window(one.start_s, one.start_s)
        end_s, _ = chunk.in_window(one.end_s, one.end_s)
        dropped.append(one._replace(start_s=window_start_s + start_s, end_s=window_start_s + max(start_s, end_s)))
    return dropped
