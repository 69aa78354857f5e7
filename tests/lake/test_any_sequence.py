"""Any sequence of steps leaves a lake that a plain model predicts to the row."""

from __future__ import annotations

from tests.lake.machine import LakeMachine, try_sequences


def test_after_any_sequence_of_steps_readers_see_what_a_plain_model_says() -> None:
    try_sequences(LakeMachine)
