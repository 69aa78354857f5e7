"""IEMOCAP as released (Busso et al. 2008): `SessionN/dialog/EmoEvaluation`, `dialog/transcriptions`, `sentences/wav`.

An evaluation file has, for each turn, `[START - END] NAME LABEL [VALENCE, AROUSAL, DOMINANCE]`, the label being the
majority of the raters and the dimensions their means on 1..5 (a few of the release lie outside, such as 5.5: they count
as the nearer end), and then a line for each rater, `C-E2: Neutral; ()`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble, shares_of
from mmer_ray.training.corpora.classes import Classes
from mmer_ray.training.corpora.iemocap_names import (
    NAME,
    NO_MAJORITY,
    OWN,
    labels_of,
    require_counts,
    spoken,
    turn_of,
)
from mmer_ray.training.utterances import Corpus, Sound, Utterance

SHAPE = "IEMOCAP (Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, or IEMOCAP_full_release/ with these)"
INNER = "IEMOCAP_full_release"
EVALUATIONS = "Session1/dialog/EmoEvaluation"
RATED_AS: Mapping[str, str] = {
    "Neutral": "neu",
    "Happiness": "hap",
    "Excited": "exc",
    "Sadness": "sad",
    "Anger": "ang",
    "Frustration": "fru",
    "Surprise": "sur",
    "Fear": "fea",
    "Disgust": "dis",
}
"""A rater's word -> code; any other word is one of the rater's own and counts as `oth`."""
_LABEL = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<name>\S+)\t(?P<code>\S+)\t\[(?P<dimensions>[^\]]+)\]")
_RATER = re.compile(r"C-E\d+:\s*(?P<words>[^()]*)")
"""The evaluators. Lines with C-F and C-M are the actors' own."""
_SAID = re.compile(r"(?P<name>Ses\S+)\s+\[[\d.]+-[\d.]+\]:\s*(?P<text>.*)")


@dataclass
class _Rated:
    """One turn of an evaluation file."""

    where: str
    name: str
    code: str
    dimensions: tuple[float, float, float]
    votes: dict[str, float] = field(default_factory=dict)
    """Code -> votes of the evaluators; one who names several splits the vote."""


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return any((root / EVALUATIONS).is_dir() for root in (folder, folder / INNER))


def read(folder: Path, classes: Classes) -> Corpus:
    """Read the release.

    With `four` classes these are the 5,531 utterances; without a majority of the raters there is no label, and the turn
    is left out. Raises `UsageError` where the sessions' counts are off, and by file and line for what is wrong.
    """
    root = folder / INNER if (folder / INNER).is_dir() else folder
    by_code, labels = labels_of(classes)
    counts: Counter[tuple[str, str]] = Counter()
    left_out: Counter[str] = Counter()
    kept: list[_Rated] = []
    for rated in _all_rated(root):
        counts[turn_of(rated.name, rated.where).session, rated.code] += 1
        if rated.code in by_code:
            kept.append(rated)
        else:
            left_out[f"label {OWN.get(rated.code, 'xxx: no majority')}"] += 1
    require_counts(counts, str(root))
    texts = _texts(root)
    return assemble(NAME, (_utterance(root, rated, by_code, texts) for rated in kept), labels, left_out)


def _utterance(root: Path, rated: _Rated, by_code: Mapping[str, str], texts: Mapping[str, str]) -> Utterance:
    turn = turn_of(rated.name, rated.where)
    if rated.name not in texts:
        raise UsageError(f"{rated.where}: {rated.name} has no line in dialog/transcriptions: complete the copy")
    votes = dict.fromkeys(by_code.values(), 0.0)
    for code, count in rated.votes.items():
        if code in by_code:
            votes[by_code[code]] += count
    number = turn.session.removeprefix("Session ")
    return Utterance(
        utterance_id=rated.name,
        sound=Sound(root / f"Session{number}" / "sentences" / "wav" / turn.dialogue / f"{rated.name}.wav"),
        speaker=turn.speaker,
        label=by_code[rated.code],
        text=spoken(texts[rated.name]),
        shares=shares_of(votes),
        dimensions=rated.dimensions,
        dialogue=turn.dialogue,
        session=turn.session,
        sex=turn.sex,
        style=turn.style,
        read_from=rated.where,
    )


def _all_rated(root: Path) -> Iterator[_Rated]:
    for number in range(1, 6):
        # Archives packed on a Mac hold a file "._Ses.." beside each.
        for path in sorted((root / f"Session{number}" / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
            yield from _rated(path)


def _rated(path: Path) -> Iterator[_Rated]:
    current: _Rated | None = None
    for where, line in _lines(path):
        if line.startswith("["):
            if current is not None:
                yield current
            current = _label(where, line)
        elif current is not None and (rater := _RATER.match(line)) is not None:
            words = [word.strip() for word in rater["words"].split(";") if word.strip()]
            for word in words:
                code = RATED_AS.get(word, "oth")
                current.votes[code] = current.votes.get(code, 0.0) + 1 / len(words)
    if current is not None:
        yield current


def _label(where: str, line: str) -> _Rated:
    found = _LABEL.match(line)
    if found is None:
        raise UsageError(f"{where}: expected [START - END], NAME, LABEL and [V, A, D], parted by tabs, not {line!r}")
    if found["code"] not in OWN and found["code"] != NO_MAJORITY:
        raise UsageError(f"{where}: the label is {found['code']!r}, which is none of {', '.join(OWN)}, {NO_MAJORITY}")
    try:
        valence, arousal, dominance = (float(number) for number in found["dimensions"].split(","))
    except ValueError as exc:
        raise UsageError(f"{where}: expected three numbers, not [{found['dimensions']}]") from exc
    if not all(map(math.isfinite, (valence, arousal, dominance))):
        raise UsageError(f"{where}: the dimensions [{found['dimensions']}] are no finite numbers: correct the line")
    return _Rated(where, found["name"], found["code"], (_scaled(valence), _scaled(arousal), _scaled(dominance)))


def _scaled(rating: float) -> float:
    """1..5 to -1..1; what lies outside of the scale, to its end."""
    return (min(max(rating, 1), 5) - 3) / 2


def _texts(root: Path) -> dict[str, str]:
    """Name of a turn -> its transcript."""
    texts = {}
    for path in sorted(root.glob("Session*/dialog/transcriptions/Ses*.txt")):
        for _, line in _lines(path):
            if (said := _SAID.match(line)) is not None:
                texts[said["name"]] = said["text"]
    return texts


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and line. Names and labels are ASCII; a strange character in a word must not cost the corpus."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            yield f"{path.name}:{number}", line.rstrip("\r\n")
