"""A conversation as text: a header with the facts, then who spoke when, how, and the words.

On a terminal the words wrap beside their speaker; in a pipe every utterance is one line, for grep.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mmer_ray.cli.emotions import STYLES, describe, describe_mix
from mmer_ray.cli.output import clock, count, enumerated, plain, print_block, say, share, span
from mmer_ray.lake.overview import label_of, seconds_by_label, seconds_by_language, worst_moment

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.records import CallMeasures, Utterance

SILENCE_S = 10.0
"""Shorter pauses are not worth a line."""
LONG_S = 900.0
MARK_EVERY_S = 300.0
"""In recordings longer than `LONG_S` a line marks every five minutes."""

Line = tuple[str, str, str, str, str]
"""Time, speaker, emotion, words, style of the emotion."""


def show_header(conversation: Conversation) -> None:
    """Facts of the file, of the talk, and one line per speaker."""
    row = conversation.recording
    say(PurePosixPath(row["uri"]).name, style="bold")
    say(f"  {row['recording_id']}  {row['corpus']}  {row['day']}  {row['uri']}")
    if row["status"] != "scored":
        say(f"  failed in {row['error_stage']}: {row['error_code']}: {row['error_message']}", style="red")
        return
    facts = [span(row["duration_ms"] / 1000), count(row["num_speakers"], "speaker"), count(row["channels"], "channel")]
    facts += [f"{row['sample_rate_hz']} Hz", row["codec"]]
    facts += _languages(conversation)
    say(f"  {', '.join(facts)}")
    if row["flags"]:
        say(f"  flags: {', '.join(row['flags'])}", style="yellow")
    if conversation.gone:
        say(f"  removed: its {enumerated(conversation.gone)} had reached their age", style="yellow")
    if num := conversation.num_erased_speakers:
        say(f"  erased: what {count(num, 'speaker')} said", style="yellow")
    if conversation.measures is not None and conversation.utterances:
        _show_measures(conversation.measures, conversation)


def _languages(conversation: Conversation) -> list[str]:
    """`language en`, or the share of each where several are spoken."""
    seconds = seconds_by_language(conversation.utterances)
    if len(seconds) > 1:
        return [f"languages {describe_mix(seconds)}"]
    language = conversation.recording["language"]
    return [f"language {language}"] if language else []


def _show_measures(measures: CallMeasures, conversation: Conversation) -> None:
    say(
        f"  silence {span(measures.silence_s)}, overlap {span(measures.overlap_s)}, "
        f"{count(measures.interruptions, 'interruption')}, "
        f"longest monologue {span(measures.longest_monologue_s)}"
    )
    total_s = sum(measures.talk_s.values())
    # By number: S2 stands before S10.
    for speaker, talk_s in sorted(measures.talk_s.items(), key=lambda item: (len(item[0]), item[0])):
        own = [one for one in conversation.utterances if one.speaker == speaker]
        rate = measures.words_per_minute.get(speaker)
        pace = "" if rate is None else f", {rate:.0f} words/min"
        mix = describe_mix(seconds_by_label(own))
        say(f"  {name_of(own[0]) if own else speaker}: {share(talk_s, total_s)} of the talk{pace}; {mix}")
    if (worst := worst_moment(conversation.utterances)) is not None:
        say(f"  worst moment: the 30 s from {clock(worst.start_s)}, {span(worst.bad_s)} of expected anger")


def show_talk(utterances: Sequence[Utterance], conversation: Conversation) -> None:
    """The utterances in order of time."""
    if not utterances:
        say("  what was said is no longer kept" if "utterances" in conversation.gone else "  nobody speaks here")
        return
    lines = list(_lines(utterances, (conversation.recording["duration_ms"] or 0) / 1000))
    if not sys.stdout.isatty():
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        for time, who, emotion, words, _ in lines:
            say(f"{time:>{widths[0]}}  {who:<{widths[1]}}  {emotion:<{widths[2]}}  {words}".rstrip())
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for time, who, emotion, words, style in lines:
        grid.add_row(Text(time), Text(who), Text(emotion, style=style), Text(words))
    print_block(grid)


def _lines(utterances: Sequence[Utterance], duration_s: float) -> Iterator[Line]:
    """One line per utterance; the speaker is named when it changes, long silences and minutes have lines too."""
    heard_until_s, mark_s, before = utterances[0].start_s, MARK_EVERY_S, ""
    for one in utterances:
        if one.start_s - heard_until_s >= SILENCE_S:
            yield "", "", "", f"({span(one.start_s - heard_until_s)} of silence)", ""
        if duration_s > LONG_S and one.start_s >= mark_s:
            passed_s = one.start_s // MARK_EVERY_S * MARK_EVERY_S
            yield clock(passed_s), "", "", "-----", ""
            mark_s, before = passed_s + MARK_EVERY_S, ""
        name = name_of(one)
        who = name if name != before else ""
        yield clock(one.start_s), who, plain(describe(one)), plain(one.text), STYLES.get(label_of(one), "")
        heard_until_s, before = max(heard_until_s, one.end_s), name


def name_of(utterance: Utterance) -> str:
    """`S2 customer`, or `S2` where no role is known; a name in the place of `S2` where somebody gave one."""
    return plain(f"{utterance.called} {utterance.role}" if utterance.role else utterance.called)
