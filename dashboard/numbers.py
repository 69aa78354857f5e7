"""Figures as people read them."""

from __future__ import annotations


def count_of(number: int) -> str:
    """1234567 -> '1,234,567'."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """1 -> '1 call', 1234 -> '1,234 calls'."""
    return f"{count_of(number)} {noun}{'' if number == 1 else 's'}"


def hours(milliseconds: int) -> str:
    """Seconds below two minutes, minutes below two hours, else hours, with a decimal up to a hundred.

    >>> [hours(1000 * seconds) for seconds in (119, 7_199, 8_640, 1_000_000)]
    ['119 s', '120 min', '2.4 h', '278 h']
    """
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 360_000 else f"{seconds / 3600:,.0f} h"


def clock(milliseconds: int | None) -> str:
    """A time within a recording: 83000 -> '1:23', with hours where there are any; nothing for none."""
    if milliseconds is None:
        return ""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    whole, minutes = divmod(minutes, 60)
    return f"{whole}:{minutes:02}:{seconds:02}" if whole else f"{minutes}:{seconds:02}"


def percent(share: float | None) -> str:
    """0.123 -> '12.3 %'; a dash for none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def signed(value: float) -> str:
    """0.123 -> '+0.12'."""
    return f"{value:+.2f}"
