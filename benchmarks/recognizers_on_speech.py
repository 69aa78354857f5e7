"""How many words does a recognizer get wrong on real speech, through the whole pipeline?

    python benchmarks/recognizers_on_speech.py --speech FOLDER [--ravdess FOLDER] [--every 4] [--demo] MODEL ...

`FOLDER` of `--speech` holds the clips named below; that of `--ravdess` the corpus, of which one file in `--every` is
read. `--demo` adds the demo's calls, turns in order of their start. `MODEL` is what `transcribe.model` takes.
Decoding, voice detection and diarization are the pipeline's own, so what they miss counts. Both sides go through
Whisper's English normaliser without its table of British spellings.

References: LibriSpeech's and LJ Speech's own; the inaugural address as printed; those of the telephone pair were
written for this benchmark from what the words must be, and are not official.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import jiwer
from speech_data import SPEECH, need
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from mmer_ray.demo.truth import CALLS, read_truth
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import load_profile
from mmer_ray.records import Recording, ScoredRecording, Task

REFERENCES = {
    "jfk.flac": (
        "clean",
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
    ),
    "libri_1088-134315-0000.wav": (
        "clean",
        "As you know and as I have given you proof I have the greatest admiration in the world for one whose work for "
        "humanity has won such universal recognition I hope that we shall both forget this unhappy morning and that "
        "you will give me an opportunity of rendering to you in person",
    ),
    "LJ002-0020.wav": ("clean", "in 1813,"),
    "LJ002-0035.wav": ("clean", "8. The press yard."),
    "two_speakers.wav": (
        "two_speakers",
        "Hello. Hello. Oh, hello. I didn't know you were there. Neither did I. Okay. I thought, you know, I heard a "
        "beep. This is Diane in New Jersey. And I'm Sheila in Texas, originally from Chicago. Oh, I'm originally from "
        "Chicago also. I'm in New Jersey now, though. Well, there isn't that much difference. At least, you know, "
        "they all call me a Yankee down here, so. I don't hear that in New Jersey now.",
    ),
}
"""File -> the set that it counts in, and what is said."""
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
"""RAVDESS: the fifth number of a file's name -> what is said."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["whisper:tiny.en"], metavar="MODEL")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--ravdess", type=Path)
    parser.add_argument("--every", type=int, default=4, help="Read one file of RAVDESS in so many.")
    parser.add_argument("--demo", action="store_true", help="Read the demo's calls too.")
    parser.add_argument("--words", action="store_true", help="Print every text.")
    arguments = parser.parse_args()
    need(arguments.speech)
    found = [*references(arguments.speech, arguments.ravdess, arguments.every), *(calls() if arguments.demo else ())]
    said = {file.resolve(): what for file, what in found}
    for model in arguments.models:
        report(model, said, words=arguments.words)


def references(speech: Path, ravdess: Path | None, every: int) -> Iterator[tuple[Path, tuple[str, str]]]:
    """Each file with its set and what is said in it."""
    yield from ((speech / name, said) for name, said in REFERENCES.items())
    if ravdess is not None:
        for file in sorted(ravdess.glob("Actor_*/*.flac"))[::every]:
            yield file, ("ravdess", STATEMENTS[file.stem.split("-")[4]])


def calls() -> Iterator[tuple[Path, tuple[str, str]]]:
    """The demo's calls: speech that a program made, some of it behind noise or a telephone's band."""
    for call in read_truth():
        turns = sorted(call.turns, key=lambda turn: turn.start_s)
        yield CALLS / call.file, ("demo calls", " ".join(turn.text for turn in turns))


def report(model: str, said: dict[Path, tuple[str, str]], *, words: bool) -> None:
    """Print word error rates of one model by set."""
    normalise = EnglishTextNormalizer({})
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    fallbacks: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    begun = time.perf_counter()
    for scored in score(model, list(said)):
        name, reference = said[Path(scored.recording.uri)]
        text = " ".join(one.text for one in scored.utterances)
        pairs[name].append((normalise(reference), normalise(text)))
        fallbacks.update({one.fallback_reason for one in scored.utterances if one.fallback_reason})
        for one in scored.dropped:
            dropped[one.reason] += one.num_words
        if words:
            print(Path(scored.recording.uri).name, scored.status, text, scored.dropped or "")
    for name, texts in pairs.items():
        spoken, read = (list(column) for column in zip(*texts, strict=True))
        measures = jiwer.process_words(spoken, read)
        print(
            f"{model} {name}: WER {measures.wer:.3f} over {sum(len(text.split()) for text in spoken)} words of "
            f"{len(texts)} files; substituted {measures.substitutions}, deleted {measures.deletions}, inserted "
            f"{measures.insertions}"
        )
    seconds = time.perf_counter() - begun
    print(f"{model}: {seconds:.0f} s; decoded again {dict(fallbacks)}; dropped words {dict(dropped)}", flush=True)


def score(model: str, files: Sequence[Path]) -> Iterator[ScoredRecording]:
    """Score files with the default profile and this recognizer."""
    profile = load_profile("embedded", [f"transcribe.model={model}"])
    with Pipeline(profile) as pipeline:
        yield from pipeline.score(
            Task(Recording(uri=str(file), root=str(file.parent), size_bytes=file.stat().st_size)) for file in files
        )


if __name__ == "__main__":
    main()
