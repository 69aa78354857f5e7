"""What a lake must show after any sequence of steps: dictionaries, and none of the lake's code.

file (corpus, uri) -> its audio and the hearing it names; (audio, hearing) -> what was said, and who felt what in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mmer_ray.diarizers.speaker_count import BETWEEN_WINDOWS_THRESHOLD, SAME_VOICE_THRESHOLD
from mmer_ray.lake.queries import LakeReader
from mmer_ray.records import Recording, ScoredRecording
from mmer_ray.stages.keys import Keys
from mmer_ray.stages.recount import Counting, recount
from tests.lake.makers import audio_id, content_digest, scored
from tests.lake.recounts import talk

Place = tuple[str, str]
"""Corpus and uri."""
Hearing = tuple[str, str]
"""recording_id and the model's own name of a hearing."""
Rows = dict[str, list[tuple[Any, ...]]]

COLUMNS = {
    "recordings": "corpus, uri, status, error_code, CASE WHEN status = 'scored' THEN recording_id END, duration_ms, "
    "num_speakers",
    "results": "corpus, recording_id, coalesce(source_key, heard_key), recluster, duration_ms, num_speakers",
    "utterances": "corpus, recording_id, utterance_idx, speaker, start_ms, end_ms, text",
    "words": "corpus, recording_id, utterance_idx, word_idx, word, start_ms",
    "turns": "corpus, recording_id, turn_idx, speaker, start_ms, end_ms",
    "pieces": "corpus, recording_id, window_idx, num_pieces",
    "emotions": "corpus, recording_id, utterance_idx, scorer, label, round(valence::DOUBLE, 3)",
    "active_emotions": "corpus, recording_id, utterance_idx, scorer, label, round(valence::DOUBLE, 3)",
    "calls": "corpus, recording_id, scorer, emotion_key, link_key",
    "active_scorers": "corpus, scorer",
}
"""What is compared: the keys of each view, and of its values enough to tell one audio and one hearing from another."""

TALK, BAD = b"talk", b"bad"
"""How the bytes begin of a file whose speakers can be counted again, and of one that no decoder reads."""


@dataclass(frozen=True)
class File:
    """A file as it lies in its folder when a job lists it."""

    corpus: str
    uri: str
    content: bytes
    modified: str

    @property
    def place(self) -> Place:
        return self.corpus, self.uri


@dataclass(frozen=True)
class Row:
    """What the lake says of a file. `order` is that of the commit that wrote it."""

    file: File
    order: int
    audio: str = ""
    heard: str = ""
    error_code: str | None = None


@dataclass(frozen=True)
class Felt:
    """With which keys a scorer answered, and in which commit."""

    emotion_key: str
    link_key: str
    order: int


class Asked(NamedTuple):
    """A hearing that an emotion model is asked about."""

    hearing: Hearing
    keys: Keys
    is_answered: bool
    """False where its file has other bytes by now."""


@cache
def heard_in(content: bytes, keys: Keys) -> ScoredRecording:
    """What the pipeline of these tests makes of a file's bytes: it follows from them and from the keys alone."""
    stand_in, digest = Recording("any.wav"), content_digest(content)
    return talk(stand_in, keys, digest) if content.startswith(TALK) else scored(stand_in, digest, keys)


@dataclass
class ExpectedLake:
    """The model. Its methods are the steps; `rows` is what readers must see."""

    files: dict[Place, Row] = field(default_factory=dict)
    hearings: dict[Hearing, ScoredRecording] = field(default_factory=dict)
    sources: dict[Hearing, tuple[str, str]] = field(default_factory=dict)
    """A hearing whose speakers were counted again -> the one that it was made of, and the options."""
    felt: dict[Hearing, dict[str, Felt]] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    erased_files: set[Place] = field(default_factory=set)
    erased_audio: set[tuple[str, str | None]] = field(default_factory=set)
    """recording_id and the corpus in which it is not heard again; None: in none."""
    earlier: dict[Place, set[str]] = field(default_factory=dict)
    """What a file has been."""
    num_finished_runs: int = 0
    order: int = 0

    def commit(self, worked_on: Iterable[File], copies: Iterable[File], keys: Keys) -> None:
        """The answers of these files become visible, and with them the files of equal bytes."""
        self.order += 1
        answered = list(worked_on)
        for file in answered:
            self.take(file, keys)
        contents = {file.content for file in answered}
        for file in copies:
            if file.content in contents if file.content.startswith(BAD) else self.has_answer(file, keys):
                self.take(file, keys)

    def has_answer(self, file: File, keys: Keys) -> bool:
        """Whether this file's audio was heard and felt with these keys."""
        felt = self.felt.get((audio_id(file.content), keys.heard), {}).get(keys.scorer)
        return felt is not None and (felt.emotion_key, felt.link_key) == (keys.emotion, keys.link)

    def take(self, file: File, keys: Keys) -> None:
        """A job with these keys has seen to this file."""
        if self.is_erased(file):
            return
        known = self.files.get(file.place)
        is_unchanged = known is not None and known.file == file
        if known is not None and is_unchanged and known.error_code:
            return
        if file.content.startswith(BAD):
            self.files[file.place] = Row(file, self.order, error_code="empty_file")
            return
        audio, heard = audio_id(file.content), keys.heard
        if known is not None and is_unchanged and self.source_of(known) == heard:
            heard = known.heard
        self._answer((audio, heard), file.content, keys)
        if known is None or not is_unchanged or known.heard != heard:
            self.files[file.place] = Row(file, self.order, audio, heard)
            self.earlier.setdefault(file.place, set()).add(audio)
        self.active.setdefault(file.corpus, keys.scorer)

    def _answer(self, hearing: Hearing, content: bytes, keys: Keys) -> None:
        if hearing not in self.hearings:
            self.hearings[hearing] = heard_in(content, keys)
        felt = self.felt.setdefault(hearing, {})
        before = felt.get(keys.scorer)
        if before is None or (before.emotion_key, before.link_key) != (keys.emotion, keys.link):
            felt[keys.scorer] = Felt(keys.emotion, keys.link, self.order)

    def first_lacking(self, hearing: Hearing, keys: Keys) -> str | None:
        """The first step that a scorer has not done for a hearing with these keys."""
        felt = self.felt[hearing].get(keys.scorer)
        if felt is None or felt.emotion_key != keys.emotion:
            return "emotion"
        return None if felt.link_key == keys.link else "link"

    def rescore(self, asked: Iterable[Asked]) -> None:
        """A commit with a model's answers about these hearings."""
        self.order += 1
        for one in asked:
            self.felt[one.hearing][one.keys.scorer] = Felt(one.keys.emotion, one.keys.link, self.order)

    def source_of(self, row: Row) -> str:
        """The hearing that the one a file names was made of, which may be itself."""
        return self.sources.get((row.audio, row.heard), (row.heard, ""))[0]

    def recluster(self, place: Place, speakers: int | None) -> None:
        """Count the speakers again in every file that shows what this one shows; None: go back."""
        row = self.files[place]
        target = source = self.source_of(row)
        if speakers is not None:
            target = f"{source} with {speakers}"
            self._count((row.audio, source), (row.audio, target), speakers)
        if target == row.heard:
            return
        self.order += 1
        for other, one in self.files.items():
            if (one.audio, one.heard) == (row.audio, row.heard):
                self.files[other] = replace(one, heard=target, order=self.order)

    def _count(self, source: Hearing, target: Hearing, speakers: int) -> None:
        if target in self.hearings:
            return
        heard = self.hearings[source]
        counting = Counting(SAME_VOICE_THRESHOLD, BETWEEN_WINDOWS_THRESHOLD, 20, speakers)
        self.hearings[target] = replace(recount(heard, heard.pieces, counting), pieces=())
        self.sources[target] = (source[1], f'{{"speakers": {speakers}}}')
        order = self.order + 1
        self.felt[target] = {name: replace(one, order=order) for name, one in self.felt[source].items()}

    def activate(self, scorer: str, corpora: Collection[str]) -> None:
        self.order += 1
        self.active.update(dict.fromkeys(corpora, scorer))

    def is_erased(self, file: File) -> bool:
        """Whether no job takes this file again."""
        audio = audio_id(file.content)
        return file.place in self.erased_files or not self.erased_audio.isdisjoint(
            {(audio, None), (audio, file.corpus)}
        )

    def erase(self, audio: str) -> None:
        """Everything of this audio goes, of every file that is it now, and of what such a file was before."""
        places = [place for place, row in self.files.items() if row.audio == audio]
        kept = {row.audio for row in self.files.values() if row.audio != audio}
        gone = {audio}.union(*(self.earlier[place] for place in places)) - kept
        self._drop(places, gone)
        self.erased_audio |= {(one, None) for one in gone}

    def retain_nothing_of(self, corpus: str) -> None:
        """All files of a corpus have reached their age, and with them the audio that no other corpus has."""
        places = [place for place in self.files if place[0] == corpus]
        kept = {row.audio for place, row in self.files.items() if place[0] != corpus}
        gone = {self.files[place].audio for place in places} - kept
        self._drop(places, gone)
        self.erased_audio |= {(one, corpus) for one in gone}

    def _drop(self, places: Iterable[Place], audios: Collection[str]) -> None:
        for place in places:
            del self.files[place]
            self.erased_files.add(place)
        for table in (self.hearings, self.sources, self.felt):
            for hearing in [one for one in table if one[0] in audios]:
                del table[hearing]

    def shown(self) -> dict[tuple[str, str], str]:
        """(corpus, recording_id) -> the hearing that this corpus sees: that of the file that was named last."""
        by_order = sorted(self.files.values(), key=lambda row: row.order)
        return {(row.file.corpus, row.audio): row.heard for row in by_order if not row.error_code}

    def scorers(self) -> dict[str, set[str]]:
        """Corpus -> the scorers that have answered for what it sees."""
        found: dict[str, set[str]] = {}
        for (corpus, audio), heard in self.shown().items():
            found.setdefault(corpus, set()).update(self.felt[audio, heard])
        return found

    def rows(self) -> Rows:
        """View -> its rows, columns as in `COLUMNS`, sorted."""
        rows: Rows = {name: [] for name in COLUMNS}
        rows["active_scorers"] = list(self.active.items())
        for (corpus, uri), row in self.files.items():
            hearing = row.audio, row.heard
            found = self.as_seen(hearing) if hearing in self.hearings else None
            facts = (
                (row.audio, _ms(found.audio.duration_s), found.num_speakers) if found and found.audio else (None,) * 3
            )
            status = "failed" if row.error_code else "scored"
            rows["recordings"].append((corpus, uri, status, row.error_code, *facts))
        for (corpus, audio), heard in self.shown().items():
            for name, some in self._of_hearing(corpus, (audio, heard)).items():
                rows[name] += [(corpus, audio, *one) for one in some]
        return {name: sorted(some, key=repr) for name, some in rows.items()}

    def as_seen(self, hearing: Hearing) -> ScoredRecording:
        """What readers see of a hearing."""
        return self.hearings[hearing]

    def _of_hearing(self, corpus: str, hearing: Hearing) -> Rows:
        one, felt = self.as_seen(hearing), self.felt[hearing]
        source, options = self.sources.get(hearing, (hearing[1], None))
        said = list(enumerate(one.utterances))
        by_scorer = {scorer: [(index, scorer, *self._emotion(hearing, index)) for index, _ in said] for scorer in felt}
        active = self.active[corpus]
        measured = active if active in felt else min(felt, key=lambda name: (-felt[name].order, name))
        calls = felt[measured]
        return {
            "results": [(source, options, _duration_ms(one), one.num_speakers)],
            "utterances": [(at, it.speaker, _ms(it.start_s), _ms(it.end_s), it.text) for at, it in said],
            "words": [
                (at, number, word.word, None if word.start_s is None else _ms(word.start_s))
                for at, it in said
                for number, word in enumerate(it.words)
            ],
            "turns": [(at, it.speaker, _ms(it.start_s), _ms(it.end_s)) for at, it in enumerate(one.turns)],
            "pieces": [(it.window_idx, it.kept.num_pieces) for it in one.pieces],
            "emotions": [row for some in by_scorer.values() for row in some],
            "active_emotions": by_scorer.get(active, []),
            "calls": [(measured, calls.emotion_key, calls.link_key)],
        }

    def _emotion(self, hearing: Hearing, index: int) -> tuple[Any, ...]:
        """Label and valence: they follow from the words, so counting speakers again leaves them."""
        audio, heard = hearing
        (emotion,) = self.hearings[audio, self.sources.get(hearing, (heard, ""))[0]].utterances[index].emotions
        assert emotion.valence is not None
        return emotion.label, round(emotion.valence, 3) + 0.0


def seen_by(reader: LakeReader) -> Rows:
    """View -> its rows as a reader sees them, columns as in `COLUMNS`, sorted."""
    tables = {name: reader.sql(f"SELECT {columns} FROM {name}") for name, columns in COLUMNS.items()}
    return {
        name: sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), key=repr)
        for name, table in tables.items()
    }


def file_at(path: Path, corpus: str) -> File:
    """The file as it is now."""
    return File(corpus, str(path), path.read_bytes(), str(path.stat().st_mtime_ns))


def _duration_ms(one: ScoredRecording) -> int:
    assert one.audio is not None
    return _ms(one.audio.duration_s)


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 0)
