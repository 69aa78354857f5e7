"""The columns of a conversation's measures follow from the fields of the record."""

from __future__ import annotations

from dataclasses import fields

from mmer_ray.measure_columns import MEASURES
from mmer_ray.records import CallMeasures
from mmer_ray.tables import SCHEMAS


def test_every_field_has_its_columns_in_the_table_with_units_in_their_names() -> None:
    columns = {measure.field: measure.columns for measure in MEASURES}
    assert list(columns) == [field.name for field in fields(CallMeasures)]
    assert columns["silence_s"] == ("silence_ms",)
    assert columns["talk_s"] == ("talk_ms",)
    assert columns["interruptions"] == ("interruptions",)
    assert columns["valence_by_quarter"] == ("valence_q1", "valence_q2", "valence_q3", "valence_q4")
    assert {name for names in columns.values() for name in names} <= set(SCHEMAS["calls"].names)


def test_counts_and_milliseconds_are_whole_numbers_and_the_rest_scores() -> None:
    types = {name: str(SCHEMAS["calls"].field(name).type) for measure in MEASURES for name in measure.columns}
    assert types["num_utterances"] == types["worst_window_start_ms"] == "int32"
    assert types["worst_window_valence"] == types["valence_q4"] == "float"
    assert (types["talk_ms"], types["words_per_minute"]) == ("map<string, int32>", "map<string, float>")
