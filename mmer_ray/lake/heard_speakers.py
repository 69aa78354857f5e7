"""The speakers of one hearing as people see them, and which edits fit them. No lake is touched here."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mmer_ray.errors import UsageError
from mmer_ray.lake.edited_speakers import SpeakerEdit, Speakers, in_force, replayed
from mmer_ray.stages.intervals import intersection, seconds, union

MAX_NAME_CHARS = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Rename:
    """Call a speaker by a name."""

    speaker: str
    name: str


@dataclass(frozen=True, slots=True)
class Merge:
    """`speaker` is `into`: what one says, the other says."""

    speaker: str
    into: str


@dataclass(frozen=True, slots=True)
class Split:
    """These utterances (`utterance_idx`) of a speaker are somebody else's, so far unknown."""

    speaker: str
    utterances: tuple[int, ...]
    into: str | None = None
    """The new speaker; None: the next free number."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take an edit back; without an id the last one that counts."""

    edit_id: str | None = None


class Spoken(NamedTuple):
    """An utterance or a turn as it was heard."""

    idx: int
    channel: int
    speaker: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeakerFacts:
    """One speaker as edited."""

    speaker: str
    name: str | None
    talk_s: float
    """Seconds of the recording in at least one utterance of this speaker."""
    num_utterances: int


@dataclass(frozen=True, slots=True)
class RecordingSpeakers:
    """Who speaks in a recording."""

    recording_id: str
    uri: str
    heard_key: str
    speakers: tuple[SpeakerFacts, ...]
    edits: tuple[SpeakerEdit, ...]
    """All that were made of this hearing, the earliest first; `in_force` tells which count."""


@dataclass(frozen=True)
class HeardSpeakers:
    """Who was heard in a recording, and what people edited about it."""

    recording_id: str
    uri: str
    heard_key: str
    utterances: tuple[Spoken, ...]
    """By index."""
    turns: tuple[Spoken, ...]
    """By index."""
    edits: tuple[SpeakerEdit, ...]
    """The earliest first."""

    def after(self, edit: SpeakerEdit) -> HeardSpeakers:
        """The same with one edit more."""
        return replace(self, edits=(*self.edits, edit))

    def told(self) -> RecordingSpeakers:
        """Who speaks now."""
        now = replayed(self.edits)
        talk: dict[str, list[Spoken]] = {speaker: [] for speaker in self._present(now)}
        for one in self.utterances:
            talk[now.of_utterance(one.idx, one.speaker)].append(one)
        facts = tuple(
            SpeakerFacts(speaker, now.names.get(speaker), seconds(_stretches(some)), len(some))
            for speaker, some in talk.items()
        )
        return RecordingSpeakers(self.recording_id, self.uri, self.heard_key, facts, self.edits)

    def edit(self, wanted: Rename | Merge | Split | Undo) -> SpeakerEdit:
        """The row that makes this edit, without author and time. Raises `UsageError` where it does not fit."""
        now, new_id = replayed(self.edits), secrets.token_hex(4)
        match wanted:
            case Rename(speaker, name):
                made = SpeakerEdit(new_id, "rename", self._speaker(now, speaker), _name(name))
            case Merge(speaker, into):
                made = SpeakerEdit(new_id, "merge", self._speaker(now, speaker), self._speaker(now, into))
            case Split(speaker, utterances, into):
                made = self._split(now, new_id, self._speaker(now, speaker), sorted(set(utterances)), into)
            case Undo(edit_id):
                return self._undo(new_id, edit_id)
        self._require_fits(made, now)
        return made

    def _speaker(self, now: Speakers, text: str) -> str:
        """The speaker of this id, else of this name."""
        present = self._present(now)
        named = [speaker for speaker in present if now.names.get(speaker) == text]
        if text in present or not named:
            return text
        return named[0]

    def _present(self, now: Speakers) -> list[str]:
        """The speakers that there are, S2 before S10."""
        found = {now.of_utterance(one.idx, one.speaker) for one in self.utterances}
        found |= {now.of_turn(one.idx, one.speaker) for one in self.turns}
        return sorted(found, key=lambda speaker: (len(speaker), speaker))

    def _split(
        self, now: Speakers, edit_id: str, speaker: str, utterances: Sequence[int], into: str | None
    ) -> SpeakerEdit:
        target = self._free_id() if into is None else into
        if target in self._names_ever():
            raise UsageError(f"{target} means a speaker of {self.uri} already; split into a new one, then `merge`")
        if not _ID.fullmatch(target):
            raise UsageError(f"{target!r} is no id of a speaker; give letters and digits, then `rename` it")
        mine = [one for one in self.utterances if now.of_utterance(one.idx, one.speaker) == speaker]
        moved = [one for one in mine if one.idx in utterances]
        kept = [one for one in mine if one.idx not in utterances]
        turns = tuple(
            turn.idx
            for turn in self.turns
            if now.of_turn(turn.idx, turn.speaker) == speaker and _covered_s(turn, moved) > _covered_s(turn, kept)
        )
        return SpeakerEdit(edit_id, "split", speaker, target, tuple(utterances), turns)

    def _free_id(self) -> str:
        numbers = [int(one[1:]) for one in self._names_ever() if re.fullmatch(r"S\d{1,9}", one)]
        return f"S{1 + max(numbers, default=0)}"

    def _names_ever(self) -> set[str]:
        """Ids and names that mean or meant somebody: an undo may bring each of them back."""
        heard = {one.speaker for one in (*self.utterances, *self.turns)}
        return heard | {str(edit.target) for edit in self.edits if edit.action in ("split", "rename")}

    def _undo(self, new_id: str, edit_id: str | None) -> SpeakerEdit:
        counting = in_force(self.edits)
        if not counting:
            raise UsageError(f"{self.uri} has no edit to be undone")
        wanted = counting[-1].edit_id if edit_id is None else edit_id
        if wanted not in [edit.edit_id for edit in counting]:
            some = "; ".join(f"{edit.edit_id}: {edit}" for edit in counting)
            raise UsageError(f"{wanted!r} is no edit of {self.uri} that counts; these do: {some}")
        now = Speakers()
        for edit in counting:
            if edit.edit_id == wanted:
                continue
            try:
                self._require_fits(edit, now)
            except UsageError as exc:
                raise UsageError(
                    f"undo {edit.edit_id} first ({edit}): without {wanted} it does not fit: {exc}"
                ) from exc
            now.apply(edit)
        return SpeakerEdit(new_id, "undo", None, wanted)

    def _require_fits(self, edit: SpeakerEdit, now: Speakers) -> None:
        """Raise `UsageError` for an edit that means nothing where the speakers are these."""
        present = self._present(now)
        speaker, target = str(edit.speaker), str(edit.target)
        others = {name for one, name in now.names.items() if one != speaker} | set(present) - {speaker}
        self._require_present(speaker, present, now)
        match edit.action:
            case "rename" if target in others:
                raise UsageError(f"another speaker of {self.uri} is called {target}; `merge` makes two one")
            case "merge":
                self._require_present(target, present, now)
                if speaker == target:
                    raise UsageError(f"{speaker} cannot be merged with itself")
            case "split":
                self._require_parts(edit, now)

    def _require_present(self, speaker: str, present: Sequence[str], now: Speakers) -> None:
        if speaker not in present:
            there = ", ".join(f"{one} ({now.names[one]})" if one in now.names else one for one in present)
            raise UsageError(f"{speaker!r} is no speaker of {self.uri}; there are: {there or 'none'}")

    def _require_parts(self, edit: SpeakerEdit, now: Speakers) -> None:
        mine = {one.idx for one in self.utterances if now.of_utterance(one.idx, one.speaker) == edit.speaker}
        strange = [str(index) for index in edit.utterances if index not in mine]
        if strange or not edit.utterances:
            raise UsageError(
                f"{edit.speaker} does not say the utterances {', '.join(strange) or '(none given)'} of "
                f"{self.uri}; `mmer speakers list --utterances` numbers them"
            )
        if mine == set(edit.utterances):
            raise UsageError(f"these are all utterances of {edit.speaker}: nothing to part; `rename` the speaker")


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise UsageError(
            f"{text[:MAX_NAME_CHARS]!r} is no name; give 1 to {MAX_NAME_CHARS} characters that can be printed"
        )
    return name


def _stretches(some: Sequence[Spoken]) -> list[tuple[float, float]]:
    return union((one.start_ms / 1000, one.end_ms / 1000) for one in some)


def _covered_s(turn: Spoken, utterances: Sequence[Spoken]) -> float:
    """Seconds of a turn in which one of these utterances of its channel is said."""
    said = _stretches([one for one in utterances if one.channel == turn.channel])
    return seconds(intersection(_stretches([turn]), said))
