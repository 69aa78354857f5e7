"""Two emotion models on the same utterances: how far they agree, what shifts, and where they differ most."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import charts
from dashboard.confusion_chart import confusion
from dashboard.filter_bar import say_nothing_found
from dashboard.filters import Filters
from dashboard.hits.component import show_hits
from dashboard.hits.payload import Mark, hit_of, sounds_of
from dashboard.numbers import count_of, percent, signed
from dashboard.page import Page
from dashboard.palette import NO_ANSWER, colour_of, in_order
from dashboard.plain import in_line
from dashboard.questions import compare as questions
from dashboard.questions.method import models
from dashboard.shift_chart import label_shift
from dashboard.tiles import Tile, show_tiles
from mmer_ray.lake.comparison import Comparison, Disagreement, comparison_of

FIRST, SECOND = "first", "second"
"""Names in the address."""
NUM_DISAGREEMENTS = 20


def show_comparison(page: Page, filters: Filters) -> None:
    """The page below its filters."""
    corpora = filters.scope(page.viewer, page.corpora)
    names = [row["scorer"] for row in page.ask("Models that have answered", questions.scorers(corpora)).to_pylist()]
    if len(names) < 2:
        _say_one(names)
        return
    first, second = _choose(names, _active(page, corpora))
    if filters.chooses_utterances:
        st.caption("Emotions and confidence chosen above are those of the model in use.")
    if first == second:
        st.info("Choose two different models above.")
        return
    found = _compared(page, filters, corpora, first, second)
    if not found.num_utterances:
        say_nothing_found(filters)
        st.caption("Or the two models have not answered about the same utterances: `mmer rescore` lets one catch up.")
        return
    _show_tiles(found)
    if found.num_labelled:
        _show_labels(found)
    _show_shifts(found)
    _show_disagreements(page, corpora, found)


def _say_one(names: Sequence[str]) -> None:
    who = "One model has answered about these corpora." if names else "No model has answered yet."
    st.info(f"{who} A comparison needs two.")
    if names:
        st.text(f"It is {names[0]}")
    st.caption(
        "`mmer rescore --lake DIR --emotion MODEL` asks another model about the recordings that are here, without "
        "decoding or transcribing them again. The answers of both stay."
    )


def _active(page: Page, corpora: Sequence[str]) -> set[str]:
    return {row["scorer"] for row in page.ask("Models in use", models(corpora)).to_pylist()}


def _choose(names: Sequence[str], active: set[str]) -> tuple[str, str]:
    """By default what is in use, against the first of the others."""
    used = next((one for one in names if one in active), names[0])
    other = next(one for one in names if one != used)
    left, right = st.columns(2)
    first = left.selectbox("One model", names, names.index(used), key=FIRST, bind="query-params")
    second = right.selectbox("The other one", names, names.index(other), key=SECOND, bind="query-params")
    if active:
        st.text(f"In use: {', '.join(map(in_line, sorted(active)))}")
    return first, second


def _compared(page: Page, filters: Filters, corpora: Sequence[str], first: str, second: str) -> Comparison:
    asked = questions.compared(filters, corpora, first, second, NUM_DISAGREEMENTS)
    return comparison_of(
        first, second, page.ask("How often two labels stand together, and what differs", asked).to_pylist()
    )


def _show_tiles(found: Comparison) -> None:
    tiles = [
        Tile(
            "Utterances",
            count_of(found.num_utterances),
            "Both models were asked about them. What a policy withholds is left out, whichever model said it.",
        ),
        Tile("Agreement", percent(found.agreement), "Share of equal labels, of the utterances that both labelled."),
        Tile(
            "Cohen's kappa",
            "-" if found.kappa is None else f"{found.kappa:.2f}",
            "Agreement beyond chance: 0 as by chance, 1 always.",
        ),
        Tile(
            "Mean distance",
            "-" if found.mean_distance is None else f"{found.mean_distance:.2f}",
            "Total variation of the two models' probabilities, 0 equal to 1 nothing in common.",
        ),
        Tile(
            "Only the first",
            count_of(found.num_first_only),
            "Labelled by the first one alone: the second one was not sure enough, or has none for what is so short.",
        ),
        Tile(
            "Only the second",
            count_of(found.num_second_only),
            "Labelled by the second one alone: the first one was not sure enough, or has none for what is so short.",
        ),
    ]
    show_tiles(tiles)


def _show_labels(found: Comparison) -> None:
    order = in_order(list(found.labels))
    at = [found.labels.index(one) for one in order]
    counts = [[found.confusion[row][column] for column in at] for row in at]
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Labels of both models")
        charts.show(confusion(order, order, counts, found.first, found.second), confusion_in_words(found))
    with right:
        st.subheader("How often each label is given")
        shares = (found.first_shares, found.second_shares)
        words = "; ".join(f"{one}: {percent(shares[0][one])} to {percent(shares[1][one])}" for one in order)
        charts.show(label_shift(*shares, (found.first, found.second)), f"From the first model to the second: {words}")


def confusion_in_words(found: Comparison) -> str:
    """The table of labels as its picture shows it: of each label of the first model the shares of the second's."""
    rows = []
    for label, line in zip(found.labels, found.confusion, strict=True):
        pairs = zip(found.labels, line, strict=True)
        shares = ", ".join(f"{other} {percent(number / sum(line))}" for other, number in pairs if number)
        rows.append(f"{label}: {shares or 'given to none'}")
    return f"Labels that {found.second} gave the utterances of each label of {found.first}. {'; '.join(rows)}"


def _show_shifts(found: Comparison) -> None:
    if not found.shifts:
        st.caption("The models have no valence, arousal or dominance in common, so that nothing can shift there.")
        return
    st.subheader("What the second model adds")
    show_tiles(
        [
            Tile(
                f"Mean {name}",
                signed(shift.mean),
                f"Second minus first, over {count_of(shift.num_utterances)} utterances that have both; -1..1.",
            )
            for name, shift in found.shifts.items()
        ]
    )


def _show_disagreements(page: Page, corpora: Sequence[str], found: Comparison) -> None:
    st.subheader("Largest disagreements")
    if not found.disagreements:
        st.caption("There are none: the probabilities of the two are equal, or are not kept.")
        return
    st.caption("By the distance of their probabilities, the furthest apart first. Listen, and judge.")
    ids, indices = zip(*((one.recording_id, one.utterance_idx) for one in found.disagreements), strict=True)
    rows = page.ask("What was said there", questions.shown(corpora, ids, indices)).to_pylist()
    known = {(row["corpus"], row["recording_id"], row["utterance_idx"]): row for row in rows}
    ranked = [(one, known.get((one.corpus, one.recording_id, one.utterance_idx))) for one in found.disagreements]
    pairs = [(one, row) for one, row in ranked if row is not None]
    sounds = sounds_of(page, [row for _, row in pairs])
    hits = [
        hit_of(
            row,
            sounds[one.corpus, one.recording_id],
            _marks(one, found),
            note=f"distance {one.distance:.2f}",
        )
        for one, row in pairs
    ]
    show_hits(hits, key="compare-hits")


def _marks(one: Disagreement, found: Comparison) -> list[Mark]:
    labels = ((found.first, one.first_label), (found.second, one.second_label))
    return [Mark(label or NO_ANSWER, colour_of(label), is_unsure=label is None, title=name) for name, label in labels]
