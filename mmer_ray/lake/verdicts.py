"""What one person says of one utterance while looking at it: whether a model's answer is right, what was heard instead.

It is a row of `annotations`, beside the labels that tables bring (`annotations.py`): one rater's newest row on an
utterance counts, whole. Who writes it says which hearing they saw, so that a judgement never falls on other words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.queries import LakeReader
from mmer_ray.tables import SCHEMAS, Row

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

MAX_TEXT_CHARS = 5_000
MAX_LABEL_CHARS = 40
MAX_RATER_CHARS = 200

UTTERANCE = """
    SELECT said.recording_id, said.corpus, said.month, said.day, said.heard_key, said.utterance_idx, said.channel,
        said.start_ms, said.end_ms, felt.label AS answered
    FROM utterances AS said LEFT JOIN emotions AS felt
    ON felt.corpus = said.corpus AND felt.recording_id = said.recording_id AND felt.heard_key = said.heard_key
        AND felt.utterance_idx = said.utterance_idx AND felt.scorer = $scorer
    WHERE said.corpus = $corpus AND said.recording_id = $recording AND said.heard_key = $heard
        AND said.utterance_idx = $utterance
"""
BEFORE = """
    SELECT label, valence, arousal, dominance, verdict, scorer, text FROM annotations
    WHERE corpus = $corpus AND recording_id = $recording AND heard_key = $heard AND utterance_idx = $utterance
        AND rater = $rater
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """The utterance that is judged, as the person was shown it."""

    corpus: str
    recording_id: str
    heard_key: str
    utterance_idx: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person says. With nothing in it, what the person said before is taken back."""

    verdict: Literal["right", "wrong"] | None = None
    """Of the emotion that `scorer` answered."""
    scorer: str | None = None
    """Whose answer it is; None where there is no verdict."""
    label: str | None = None
    """The emotion that the person heard. With `right` it is the answer's own."""
    text: str | None = None
    """What was said, where the recognizer heard something else."""


def judge(lake: Lake, about: Judged, said: Judgement, rater: str) -> bool:
    """Write what a rater says of an utterance; whether it was new.

    A label's valence, arousal and dominance, which a table may have brought, stay where the label stays. Raises
    `UsageError` for what cannot be meant, and where the utterance is shown no longer; `LakeError` where another job
    writes the lake: nothing is written then.
    """
    said = _cleaned(said)
    named = _text("rater", rater, MAX_RATER_CHARS)
    if named is None:
        raise UsageError("nobody is named as rater: a judgement needs a name")
    lake.require_existing()
    with lake.lock():
        reader = LakeReader(lake)
        try:
            row = _utterance(reader, about, said) | {"rater": named}
            before = reader.rows(BEFORE, _place(about) | {"rater": named})
        finally:
            reader.close()
        facts = _facts(said, row.pop("answered"), before[0] if before else {})
        if facts == (before[0] if before else dict.fromkeys(facts)):
            return False
        lake.create()
        rows = pa.Table.from_pylist([row | facts | {"annotated_at": datetime.now(UTC)}], schema=SCHEMAS["annotations"])
        SingleCommit.begin(lake).write(lake, {"annotations": rows})
    return True


def _place(about: Judged) -> dict[str, Any]:
    return {
        "corpus": about.corpus,
        "recording": about.recording_id,
        "heard": about.heard_key,
        "utterance": about.utterance_idx,
    }


def _utterance(reader: LakeReader, about: Judged, said: Judgement) -> Row:
    found = reader.rows(UTTERANCE, _place(about) | {"scorer": said.scorer})
    if not found:
        raise UsageError(
            f"recording {about.recording_id} shows no utterance {about.utterance_idx} of this hearing in corpus "
            f"{about.corpus!r} any longer: open it again"
        )
    if said.verdict == "right" and found[0]["answered"] is None:
        raise UsageError(f"{said.scorer} gave utterance {about.utterance_idx} no label that could be right")
    return dict(found[0])


def _facts(said: Judgement, answered: str | None, before: Row) -> Row:
    """The columns that a judgement decides about."""
    label = answered if said.verdict == "right" else said.label
    kept = before if label is not None and before.get("label") == label else {}
    return {
        "label": label,
        **{name: kept.get(name) for name in ("valence", "arousal", "dominance")},
        "verdict": said.verdict,
        "scorer": said.scorer if said.verdict else None,
        "text": said.text,
    }


def _cleaned(said: Judgement) -> Judgement:
    if said.verdict not in (None, "right", "wrong"):
        raise UsageError(f"{said.verdict!r} is no verdict: say right or wrong")
    if said.verdict is not None and not said.scorer:
        raise UsageError("a verdict needs the model whose answer it is of")
    label = _text("label", said.label, MAX_LABEL_CHARS)
    return Judgement(said.verdict, said.scorer, label, _text("text", said.text, MAX_TEXT_CHARS))


def _text(name: str, text: str | None, max_chars: int) -> str | None:
    """With its blanks made one; None where there is nothing. Raises `UsageError` for too much of it."""
    joined = " ".join((text or "").replace("\0", " ").split())
    if len(joined) > max_chars:
        raise UsageError(f"the {name} has {len(joined):,} characters; at most {max_chars:,} are kept")
    return joined or None
