"""The demo on a screen: the calls, their emotions, the worst moment, the measured truth, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmer_ray.cli.caution import SYNTHETIC
from mmer_ray.cli.conversation_view import show_talk
from mmer_ray.cli.emotions import describe_mix
from mmer_ray.cli.output import clock, print_table, say, share, span
from mmer_ray.lake.overview import seconds_by_label

if TYPE_CHECKING:
    from mmer_ray.cli.demo import Demo
    from mmer_ray.demo.evaluate import Evaluation
    from mmer_ray.lake.overview import CallOverview

CALL_COLUMNS = ("call", "length", "people", "customer", "angry", "talks", "worst at")
LEAD_IN_S = 5.0
EXCERPT_S = 30.0


def show_demo(result: Demo) -> None:
    """Everything, in the order in which an analyst asks."""
    say("")
    print_table(CALL_COLUMNS, [_call_row(one) for one in sorted(result.overviews, key=_by_anger)])
    say(
        "customer: the emotion with the most seconds of the customer's speech. angry, talks: the share of own "
        "and of all speech. On mono calls who speaks second is the customer. worst at: the 30 s with the most expected "
        "anger, all speakers counted."
    )
    utterances = [one for conversation in result.conversations for one in conversation.utterances]
    say("")
    say(f"all speech: {describe_mix(seconds_by_label(utterances))}", style="bold")
    _show_excerpt(result)
    _show_measured(result)
    say("")
    say("now try", style="bold")
    for command in next_demo_commands(result.overviews, result.lake):
        say(f"  {command}")


def next_demo_commands(overviews: Sequence[CallOverview], lake: str) -> list[str]:
    """Look at all calls; read the angriest one; ask the lake a question."""
    place = shlex.quote(lake)
    sql = "SELECT speaker, role, label, count(*) AS n FROM active_emotions JOIN utterances "
    sql += "USING (recording_id, utterance_idx) GROUP BY ALL ORDER BY n DESC"
    angriest = min(overviews, key=_by_anger, default=None)
    show = [] if angriest is None else [f"mmer show --lake {place} {shlex.quote(angriest.name)}"]
    return [f"mmer dashboard --lake {place}", *show, f'mmer query --lake {place} "{sql}"']


def _by_anger(one: CallOverview) -> tuple[float, str]:
    return -one.worst_angry_s, one.name


def _call_row(one: CallOverview) -> list[object]:
    worst = "-" if one.worst_start_s is None else clock(one.worst_start_s)
    shares = share(one.angry_share, 1.0), share(one.talk_share, 1.0)
    return [one.name, clock(one.duration_s), one.num_speakers, one.customer_emotion, *shares, worst]


def _show_excerpt(result: Demo) -> None:
    angriest = min(result.overviews, key=_by_anger, default=None)
    if angriest is None or angriest.worst_start_s is None:
        return
    conversation = next(one for one in result.conversations if one.recording["recording_id"] == angriest.recording_id)
    begin_s, end_s = angriest.worst_start_s - LEAD_IN_S, angriest.worst_start_s + EXCERPT_S
    talk = [one for one in conversation.utterances if one.end_s > begin_s and one.start_s < end_s]
    say("")
    say(f"the worst moment: {angriest.name} from {clock(angriest.worst_start_s)}", style="bold")
    show_talk(talk, conversation)


def _show_measured(result: Demo) -> None:
    measured: Evaluation = result.measured
    recalls = ", ".join(f"{label} {100 * recall:.0f} %" for label, recall in measured.recall_by_label.items())
    say("")
    say("measured against what was really said", style="bold")
    rows = [
        ["words wrong (WER)", _percent(measured.wer), f"of {measured.num_reference_words} words"],
        ["speakers wrong (DER)", _percent(measured.der), "mono calls, collar 0.25 s"],
        ["speakers confused", _percent(measured.speaker_confusion), "stereo calls"],
        ["emotions right (UA)", _percent(measured.emotion_ua), f"{measured.num_turns} turns: {recalls}"],
        ["wall time", f"{result.wall_s:.1f} s", _speed(result)],
    ]
    print_table(("", "", ""), rows)
    say("synthetic speech, voices and sentences that training never saw")
    say(SYNTHETIC, style="yellow")


def _speed(result: Demo) -> str:
    if not result.job.num_scored:
        return "everything was scored before"
    return f"{result.job.runner}, its start included, for {span(result.job.audio_s)} of audio"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
