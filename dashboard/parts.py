"""Long lists in parts: which one is shown, and the address that says so."""

from __future__ import annotations

import math

import streamlit as st


def choose_part(number: int, per_part: int, name: str) -> int:
    """Which part of a list of `number` rows is shown, from 0; `name` is that of the address."""
    parts = math.ceil(number / per_part)
    if parts == 1:
        # There is nothing to choose. A part of a longer list would stay in the address, and be another one later.
        st.query_params.pop(name, None)
        return 0
    return min(parts, st.pagination(parts, key=name, bind="query-params")) - 1
