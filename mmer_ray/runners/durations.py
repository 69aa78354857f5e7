"""How long recordings are, before one is decoded: headers of some, and sizes of the others by what those show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmer_ray.audio.decode import Decoder
from mmer_ray.records import Recording

MAX_PROBED = 2_000
"""Headers read before a job starts, a few milliseconds each; the rest is estimated from sizes."""
NUM_PROBERS = 4
"""Headers read at once: on a remote store nearly all of the time is waiting."""
PROBES_PER_CHILD = 100
"""Starting a child takes as long as reading the headers of so many local files."""

MIN_BYTES_PER_S = 400
"""The thriftiest speech codecs take more, 600 bytes a second (AMR at 4.75 kbit/s): a header that claims more seconds
than this allows is forged, or the sound is near silence, which costs little. Neither may steer a job."""
MAX_MS = (1 << 31) - 1

Milliseconds = npt.NDArray[np.float64]
"""One for each row; NaN where nothing is known."""
Probe = Callable[[Sequence[Recording]], Sequence[float | None]]


def with_durations(
    todo: pa.Table, recordings: Callable[[pa.Table], Sequence[Recording]], probe: Probe, max_file_bytes: int
) -> pa.Table:
    """Fill in `expected_ms` where it is null.

    The first `MAX_PROBED` such rows take the claim of their header, the others the bytes per second of the probed
    files with the same ending. No claim counts for more than the file's size allows, and a file above
    `max_file_bytes` for nothing: it is refused. `recordings` makes objects of the rows to probe.
    """
    expected = todo["expected_ms"].to_numpy().astype(np.float64)
    sizes = todo["size_bytes"].to_numpy().astype(np.float64)
    unknown = np.flatnonzero(np.isnan(expected))
    refused = unknown[sizes[unknown] > max_file_bytes]
    probed = np.setdiff1d(unknown, refused)[:MAX_PROBED]
    if len(probed):
        claims = [np.nan if one is None else one * 1000 for one in probe(recordings(todo.take(probed)))]
        expected[probed] = np.minimum(claims, sizes[probed] * 1000 / MIN_BYTES_PER_S)
    expected = _from_sizes(cast(list[str], todo["uri"].to_pylist()), sizes, expected, probed)
    expected[refused] = 0.0
    whole = pa.array(np.minimum(expected, MAX_MS).round(), pa.int32(), from_pandas=True, safe=False)
    return todo.set_column(todo.schema.get_field_index("expected_ms"), todo.schema.field("expected_ms"), whole)


def num_probers(num_recordings: int) -> int:
    """Children of a decoder that is to read so many headers."""
    return max(1, min(NUM_PROBERS, num_recordings // PROBES_PER_CHILD))


def probe_headers(recordings: Sequence[Recording], decoder: Decoder) -> list[float | None]:
    """Seconds that each header claims; None where it says nothing that could be true, or cannot be read."""
    with ThreadPoolExecutor(num_probers(len(recordings))) as pool:
        return list(pool.map(decoder.probe, recordings))


def _from_sizes(
    uris: Sequence[str], sizes: Milliseconds, expected: Milliseconds, probed: npt.NDArray[np.intp]
) -> Milliseconds:
    """Fill in what is still unknown, from the density of the probed files with the same ending."""
    _, codes = np.unique([uri.rpartition("/")[2].rpartition(".")[2].lower() for uri in uris], return_inverse=True)
    told = probed[expected[probed] > 0]
    num_codes = int(codes.max(initial=-1)) + 1
    total_ms = np.bincount(codes[told], expected[told], num_codes)
    total_bytes = np.bincount(codes[told], sizes[told], num_codes)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_size = sizes * (total_ms / total_bytes)[codes]
    # A probed file that claims nothing keeps the plain guess from its size: it is not like its kind.
    fill = np.isnan(expected)
    fill[probed] = False
    return np.where(fill, by_size, expected)
