"""The windows of one recording, heard one after the other, and the clips that emotion is asked about.

A clip is cut out of the whole channel, never at a window's border: the utterance's milliseconds are exact samples. An
utterance inside a window is asked about at once. One at a border may be half of an utterance: it waits, with its few
seconds of sound, until the next window shows that it is whole, or until all speakers are known.

Held for a border are at most the last and the first `MAX_UTTERANCE_S` + 0.6 s of the windows on either side (an
utterance that ends within half a second of it, with its margin): 61.2 s or 2 MB of sound, a tenth of the default
windows. Where no utterance comes near a border it is 0.2 s. Windows last `MARGIN_MS` at least: those of a recording
that was cut last 5 s (`audio/windows.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mmer_ray.audio.pcm import to_float
from mmer_ray.pipelines.sound import ChannelSound, Range
from mmer_ray.records import (
    SAMPLE_RATE_HZ,
    SAMPLES_PER_MS,
    AudioFacts,
    Clip,
    Emotion,
    Recording,
    ScoredRecording,
    Utterance,
    Window,
)
from mmer_ray.stages.borders import ends_at_border, may_be_one, starts_at_border
from mmer_ray.stages.emotion import MARGIN_MS, clip_range
from mmer_ray.stages.join import join

MARGIN_SAMPLES = MARGIN_MS * SAMPLES_PER_MS
ClipKey = tuple[int, int, int, str]
"""Channel, start and end in ms, and text: all that a clip is made of."""
MayScore = Callable[[Utterance], bool]


def anybody(_: Utterance) -> bool:
    """Every utterance may be scored."""
    return True


@dataclass(frozen=True, slots=True)
class Question:
    """Clips that are scored together: those of one dialogue for a model that reads one, else one clip."""

    keys: tuple[ClipKey, ...]
    clips: tuple[Clip, ...]

    @property
    def audio_s(self) -> float:
        return sum(len(clip.samples) for clip in self.clips) / SAMPLE_RATE_HZ

    @property
    def padded_s(self) -> float:
        """Seconds that a forward pass computes."""
        return len(self.clips) * max(len(clip.samples) for clip in self.clips) / SAMPLE_RATE_HZ


def key_of(utterance: Utterance) -> ClipKey:
    """Name the clip of an utterance."""
    start_ms, end_ms = round(utterance.start_s * 1000), round(utterance.end_s * 1000)
    return utterance.channel, start_ms, end_ms, utterance.text


def with_emotions(utterances: Iterable[Utterance], emotions: Iterable[Emotion]) -> tuple[Utterance, ...]:
    """The same utterances, each with its emotion."""
    return tuple(replace(one, emotions=(emotion,)) for one, emotion in zip(utterances, emotions, strict=True))


class RecordingAssembler:
    """Takes heard windows in any order, says what to ask, and joins them once all are there."""

    def __init__(
        self, recording: Recording, join_threshold: float, reads_dialogue: bool, may_score: MayScore = anybody
    ) -> None:
        """Utterances for which `may_score` is false are asked about nowhere, not even as part of a dialogue."""
        self._recording = recording
        self._join_threshold = join_threshold
        self._reads_dialogue = reads_dialogue
        self._may_score = may_score
        self._windows: list[Window] = []
        self._channels: defaultdict[int, _Channel] = defaultdict(_Channel)
        self._asked: set[ClipKey] = set()

    @property
    def held_s(self) -> float:
        """Seconds of sound that wait for a border's other side."""
        return sum(channel.sound.num_samples for channel in self._channels.values()) / SAMPLE_RATE_HZ

    def add(self, window: Window) -> list[Question]:
        """Take a heard window; returns what can be asked now."""
        channel = self._channels[window.channel]
        inside, settled = (list(filter(self._may_score, some)) for some in channel.add(window))
        self._windows.append(window.without_samples())
        together = [inside] if self._reads_dialogue and inside else [[one] for one in inside]
        questions = [self._question(channel, group) for group in (*together, *([one] for one in settled))]
        channel.let_go()
        return questions

    def close(self, facts: AudioFacts) -> tuple[ScoredRecording, list[Question]]:
        """All windows are there: the recording without emotions, and what was not asked before."""
        joined = join(self._recording, facts, self._windows, self._join_threshold)
        new = [one for one in joined.utterances if key_of(one) not in self._asked and self._may_score(one)]
        questions = [self._question(self._channels[one.channel], [one]) for one in new]
        self._channels.clear()
        return joined, questions

    def _question(self, channel: _Channel, utterances: Sequence[Utterance]) -> Question:
        question = ask(channel.sound, utterances)
        self._asked.update(question.keys)
        return question


def ask(sound: ChannelSound, utterances: Sequence[Utterance]) -> Question:
    """Cut the clips of utterances out of their channel."""
    clips = tuple(
        Clip(to_float(sound.cut(*clip_range(one))), one.text, one.language, speaker=one.speaker) for one in utterances
    )
    return Question(tuple(key_of(one) for one in utterances), clips)


class _Channel:
    """One channel: which of its utterances wait at a border, and the sound that they need."""

    def __init__(self) -> None:
        self.sound = ChannelSound()
        self._by_start: dict[int, Window] = {}
        self._by_end: dict[int, Window] = {}
        self._waiting: list[tuple[Window, Utterance]] = []
        self._open_edges: set[int] = set()
        """Borders that only one window of has come."""

    def add(self, window: Window) -> tuple[list[Utterance], list[Utterance]]:
        """Take a window; returns its utterances inside, and those at any border that are whole, as is known now."""
        begin, end = _begin(window), _begin(window) + len(window.samples)
        self.sound.add(begin, window.samples)
        window = window.without_samples()
        self._by_start[begin] = self._by_end[end] = window
        self._open_edges ^= {begin, end} - {0}
        inside: list[Utterance] = []
        for one in window.utterances:
            if starts_at_border(one, window) or ends_at_border(one, window):
                self._waiting.append((window, one))
            else:
                inside.append(one)
        settled: list[Utterance] = []
        waiting: list[tuple[Window, Utterance]] = []
        for home, one in self._waiting:
            if self._is_settled(home, one):
                settled.append(one)
            else:
                waiting.append((home, one))
        self._waiting = waiting
        return inside, settled

    def let_go(self) -> None:
        """Keep only the sound that a later answer may need."""
        edges = ((edge - MARGIN_SAMPLES, edge + MARGIN_SAMPLES) for edge in self._open_edges)
        self.sound.keep([*edges, *(_needed(home, one) for home, one in self._waiting)])

    def _is_settled(self, home: Window, one: Utterance) -> bool:
        """Whether no window that is still to come, and no speaker's name, can change this utterance's clip."""
        if starts_at_border(one, home):
            before = self._by_end.get(_begin(home))
            if before is None or (_may_follow(before, home) and one is home.utterances[0]):
                return False
        if ends_at_border(one, home):
            after = self._by_start.get(_end(home))
            if after is None or (_may_follow(home, after) and one is home.utterances[-1]):
                return False
        return True


def _begin(window: Window) -> int:
    return round(window.start_s * SAMPLE_RATE_HZ)


def _end(window: Window) -> int:
    return round(window.end_s * SAMPLE_RATE_HZ)


def _may_follow(before: Window, after: Window) -> bool:
    """Whether the last utterance of a window and the first of the next may be one."""
    if not (before.utterances and after.utterances):
        return False
    return may_be_one(before.utterances[-1], after.utterances[0], after.start_s)


def _needed(home: Window, one: Utterance) -> Range:
    """The sound of an utterance at a border, and, of what may lie between it and its other half, this window's."""
    begin, end = clip_range(one)
    if starts_at_border(one, home):
        begin = min(begin, _begin(home))
    if ends_at_border(one, home):
        end = max(end, _end(home))
    return begin, end


class KnownUtterances:
    """Takes the windows of a recording whose utterances are known, as decoded, and says what to ask."""

    def __init__(self, utterances: Sequence[Utterance], reads_dialogue: bool, may_score: MayScore = anybody) -> None:
        """As `RecordingAssembler`."""
        utterances = list(filter(may_score, utterances))
        self._reads_dialogue = reads_dialogue
        self._sounds: defaultdict[int, ChannelSound] = defaultdict(ChannelSound)
        self._left: defaultdict[int, list[Utterance]] = defaultdict(list)
        for one in sorted(utterances, key=lambda one: (one.start_s, one.end_s)):
            self._left[one.channel].append(one)
        self._ready: list[tuple[Utterance, Clip]] = []
        self._sizes: defaultdict[int, int] = defaultdict(int)
        for one in utterances:
            self._sizes[one.dialogue_idx] += 1

    def add(self, window: Window) -> list[Question]:
        """Take the next window of a channel; returns what can be asked now."""
        sound, end = self._sounds[window.channel], _end(window)
        sound.add(_begin(window), window.samples)
        left = self._left[window.channel]
        self._cut(sound, [one for one in left if clip_range(one)[1] <= end])
        self._left[window.channel] = left = [one for one in left if clip_range(one)[1] > end]
        # What begins later is not there yet.
        sound.keep((begin, end) for begin, end in map(clip_range, left))
        return self._complete()

    def close(self) -> list[Question]:
        """The channels have ended: returns the rest."""
        for channel, left in self._left.items():
            self._cut(self._sounds[channel], left)
        self._left.clear()
        return self._complete()

    def _cut(self, sound: ChannelSound, utterances: Sequence[Utterance]) -> None:
        self._ready += ((one, ask(sound, [one]).clips[0]) for one in utterances)

    def _complete(self) -> list[Question]:
        """Take out the dialogues of which every clip is cut, or each clip for a model that reads none."""
        groups: defaultdict[int, list[tuple[Utterance, Clip]]] = defaultdict(list)
        for position, (one, clip) in enumerate(self._ready):
            groups[one.dialogue_idx if self._reads_dialogue else position].append((one, clip))
        self._ready = []
        questions: list[Question] = []
        for number, group in groups.items():
            if self._reads_dialogue and len(group) < self._sizes[number]:
                self._ready += group
            else:
                questions.append(Question(tuple(key_of(one) for one, _ in group), tuple(clip for _, clip in group)))
        return questions
