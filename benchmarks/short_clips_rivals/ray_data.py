"""Ray Data as the audio example of its documentation does it ("Audio batch inference", `e2e-audio`).

Its stages, batch sizes and formats: `map(resample)`, a preprocessor with batches of 2 as pandas, a transcriber with
batches of 2 as NumPy, a decoder of tokens with batches of 16 as pandas, `write_parquet`. Samples and features pass
between them through the object store. Changed for this machine: the transcriber has no GPU but a core for each of its
actors, of which there are as many as cores; the decoder has one actor instead of five; and Ray is told of more CPUs
than there are cores, or its actors would leave none to the tasks. The model is the one that all rivals have.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from steps import COLUMN, ROW, LogMel, Whisper, arguments, decode, noted


class Preprocessor:
    def __init__(self, given: argparse.Namespace) -> None:
        self._notes, self._log_mel = given.notes, LogMel()

    def __call__(self, batch: Any) -> Any:
        with noted(self._notes, "features"):
            return {"features": [self._log_mel(samples) for samples in batch["samples"]], ROW: batch[ROW]}


class Transcriber:
    def __init__(self, given: argparse.Namespace) -> None:
        self._notes, self._whisper = given.notes, Whisper(given.model, given.beam, 1)

    def __call__(self, batch: Any) -> Any:
        import numpy as np

        with noted(self._notes, "model"):
            tokens = self._whisper.tokens(list(batch["features"]))
        column = np.empty(len(tokens), dtype=object)
        column[:] = [np.array(one, np.int32) for one in tokens]
        return {ROW: batch[ROW], "tokens": column}


class Decoder:
    def __init__(self, given: argparse.Namespace) -> None:
        self._whisper = Whisper(given.model, given.beam, 1)

    def __call__(self, batch: Any) -> Any:
        batch["text"] = [self._whisper.text(tokens) for tokens in batch.pop("tokens")]
        return batch


def store_bytes() -> int:
    """Bytes that were ever put into the object store of this cluster."""
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    return int(get_memory_info_reply(state).store_stats.cumulative_created_bytes)


def main() -> None:
    given = arguments()
    ray.init(num_cpus=2 * given.cores + 2, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False

    def resample(item: dict[str, Any]) -> dict[str, Any]:
        with noted(given.notes, "decode"):
            return {ROW: item[ROW], "samples": decode(item[COLUMN]["bytes"])}

    pool = {"fn_constructor_args": (given,)}
    dataset = ray.data.read_parquet(str(given.clips)).map(resample)
    dataset = dataset.map_batches(Preprocessor, batch_size=2, batch_format="pandas", concurrency=1, **pool)
    dataset = dataset.map_batches(Transcriber, batch_size=2, batch_format="numpy", concurrency=given.cores, **pool)
    dataset = dataset.map_batches(Decoder, batch_size=16, batch_format="pandas", concurrency=1, **pool)
    dataset.write_parquet(str(given.into))
    print(json.dumps({"store_bytes": store_bytes()}))


if __name__ == "__main__":
    main()
