"""The model of a lake in which people name and join speakers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from mmer_ray.records import ScoredRecording
from tests.lake.expected import ExpectedLake, Hearing


class Edit(NamedTuple):
    """`speaker` is called `target`, is `target`, or these utterances and turns of `speaker` are `target`."""

    action: Literal["rename", "merge", "split"]
    speaker: str
    target: str
    indexes: frozenset[int] = frozenset()


@dataclass
class EditedLake(ExpectedLake):
    """Edits belong to a hearing; the last one can be undone."""

    edits: dict[Hearing, list[Edit]] = field(default_factory=dict)

    def edit(self, hearing: Hearing, edit: Edit) -> None:
        self.edits.setdefault(hearing, []).append(edit)
        self._measure_again(hearing)

    def undo(self, hearing: Hearing) -> None:
        self.edits[hearing].pop()
        self._measure_again(hearing)

    def _measure_again(self, hearing: Hearing) -> None:
        """Every scorer's measures are written anew in the edit's commit."""
        self.order += 1
        self.felt[hearing] = {name: replace(one, order=self.order) for name, one in self.felt[hearing].items()}

    def speakers(self, hearing: Hearing) -> list[str]:
        """Those that there are now."""
        one = self.as_seen(hearing)
        return sorted({it.speaker for it in (*one.utterances, *one.turns)})

    def as_seen(self, hearing: Hearing) -> ScoredRecording:
        one, edits = super().as_seen(hearing), self.edits.get(hearing, [])
        now = _speaker_after(edits)
        return replace(
            one,
            utterances=tuple(replace(it, speaker=now(at, it.speaker)) for at, it in enumerate(one.utterances)),
            turns=tuple(replace(it, speaker=now(at, it.speaker)) for at, it in enumerate(one.turns)),
            num_speakers=one.num_speakers + sum({"merge": -1, "split": 1}.get(edit.action, 0) for edit in edits),
        )

    def names(self) -> list[tuple[Any, ...]]:
        """Corpus, recording_id, utterance_idx and name of each utterance whose speaker has one, sorted."""
        rows = []
        for (corpus, audio), heard in self.shown().items():
            names: dict[str, str] = {}
            for edit in self.edits.get((audio, heard), []):
                names.pop(edit.speaker, None)
                if edit.action == "rename":
                    names[edit.speaker] = edit.target
            said = enumerate(self.as_seen((audio, heard)).utterances)
            rows += [(corpus, audio, index, names[it.speaker]) for index, it in said if it.speaker in names]
        return sorted(rows)

    def _drop(self, places: Any, audios: Any) -> None:
        super()._drop(places, audios)
        self.edits = {hearing: edits for hearing, edits in self.edits.items() if hearing[0] not in audios}


def _speaker_after(edits: list[Edit]) -> Callable[[int, str], str]:
    def now(index: int, speaker: str) -> str:
        for edit in edits:
            is_meant = edit.action == "merge" or (edit.action == "split" and index in edit.indexes)
            if is_meant and edit.speaker == speaker:
                speaker = edit.target
        return speaker

    return now
