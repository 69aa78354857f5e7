"""Parts of long lists: which one is shown, and what the address says of it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def shown(number: int, part: str | None) -> tuple[int, list[str]]:
    """The part that is shown of so many rows, ten a part, and what the address then has."""

    def script(number: int) -> None:
        import streamlit as st

        from dashboard.parts import choose_part

        st.text(str(choose_part(number, 10, "part")))

    page = AppTest.from_function(script, kwargs={"number": number})
    if part is not None:
        page.query_params["part"] = part
    page.run()
    assert not page.exception
    return int(page.text[0].value), page.query_params.get("part", [])


@pytest.mark.parametrize(("number", "part", "wanted"), [(95, "10", 9), (95, None, 0), (11, "2", 1)])
def test_the_part_that_the_address_names_is_shown(number: int, part: str | None, wanted: int) -> None:
    assert shown(number, part)[0] == wanted


@pytest.mark.parametrize("part", ["10", "1", None])
def test_where_there_is_one_part_the_address_names_none(part: str | None) -> None:
    assert shown(10, part) == (0, [])
