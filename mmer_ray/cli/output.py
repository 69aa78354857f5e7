"""What the terminal gets: results on stdout, everything else on stderr, and never a control character from a recording.

A transcript, a uri or a manifest's metadata comes from strangers. Printed raw, an escape sequence in it could recolour,
hide or rewrite what the reader sees (CWE-150), and a spreadsheet runs a cell that begins with `=` (CWE-1236).
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmer_ray.cli.streams import can_print, writing_stdout

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls, line separators, marks that turn the direction of writing, lone surrogates."""
_NUMBER = re.compile(r"[-+]?[\d.,:e+-]*( %)?")
"""A cell that is read by its digits: a number, a share, a length of time, a dash or nothing."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def plain(text: object) -> str:
    """`text` on one line, its control characters shown as U+FFFD (white space as a blank)."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"[\t\n\r\v\f]+", " ", str(text)))


def say(text: str, style: str = "") -> None:
    """One line of results."""
    from rich.text import Text

    print_block(Text(plain(text), style=style), soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """One line for the person who waits, on stderr."""
    from rich.text import Text

    from mmer_ray.cli.console import notes

    # With stderr gone there is nobody left to tell; the exit code still speaks.
    with suppress(OSError):
        notes().print(Text(plain(text), style=style))


def print_block(block: RenderableType, *, soft_wrap: bool = False) -> None:
    """Print anything that rich can on stdout."""
    from mmer_ray.cli.console import results

    with writing_stdout():
        results().print(block, soft_wrap=soft_wrap)


def print_raw(text: str) -> None:
    """The text of a file, unchanged but for characters that stdout's encoding lacks: a question mark each."""
    with writing_stdout() as stdout:
        stdout.write(text)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout. NaN and infinity become null; control characters are escaped, nothing is lost."""
    text = json_text(document)
    print_raw((text if can_print(text) else json.dumps(json.loads(text), indent=2)) + "\n")


def json_text(document: Any) -> str:
    """JSON that is also safe to look at in a terminal."""
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False, default=_other)
    # json.dumps escapes C0; the others of `_UNSAFE` are legal inside a string, and our indentation is not inside one.
    return re.sub("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", _escaped, text)


def _other(value: Any) -> Any:
    # DuckDB's sums of integers arrive as decimals without a fraction.
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """RFC 4180 with a header. Text is made plain; text that a spreadsheet would run gets a leading apostrophe."""
    with writing_stdout() as stdout:
        writer = csv.writer(stdout, lineterminator="\n")
        writer.writerow([_cell(column) for column in columns])
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (list, tuple, dict)):
        return json_text(value).replace("\n", " ")
    if not isinstance(value, str):
        return value
    return f"'{plain(value)}" if value.startswith(_FORMULA_STARTS) else plain(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table to look at; numbers on the right, nothing where there is no value. No header when all names are empty."""
    from rich.table import Table
    from rich.text import Text

    cells = [[_shown(value) for value in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for index, column in enumerate(columns):
        is_number = all(_NUMBER.fullmatch(row[index]) for row in cells)
        table.add_column(Text(plain(column)), justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    print_block(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return plain(value)


def clock(time_s: float) -> str:
    """A moment in a recording: `4:05`, or `1:02:03` from the first hour on."""
    minutes, second = divmod(int(time_s), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def span(duration_s: float) -> str:
    """A length of time in the unit that reads best: `4.2 s`, `3 min 5 s`, `2.5 h`."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    if duration_s < 3600:
        minutes, second = divmod(round(duration_s), 60)
        return f"{minutes} min {second} s"
    return f"{duration_s / 3600:.1f} h"


def share(part: float, whole: float) -> str:
    """A part in per cent; a dash when there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole > 0 else "-"


def count(num: int, noun: str) -> str:
    """`1 recording`, `1,200 recordings`."""
    return f"{num:,} {noun}" if num == 1 else f"{num:,} {noun}s"


def enumerated(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> enumerated(["turns"]), enumerated(["words", "turns", "emotions"])
    ('turns', 'words, turns and emotions')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
