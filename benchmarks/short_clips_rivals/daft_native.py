"""Daft's native runner, as its own audio benchmark does it: one expression per step, the model in a class.

Its batches of 64 are 16 here: on a small machine one of 64 leaves the other cores without work at the end.
"""

from __future__ import annotations

import daft
from daft import DataType
from steps import COLUMN, ROW, LogMel, Whisper, arguments, decode, noted

BATCH = 16
GIVEN = arguments()


@daft.func(return_dtype=DataType.list(DataType.float32()))
def samples_of(data: bytes) -> object:
    with noted(GIVEN.notes, "decode"):
        return decode(data)


@daft.cls
class Features:
    def __init__(self) -> None:
        self._log_mel = LogMel()

    @daft.method.batch(return_dtype=DataType.tensor(DataType.float32()), batch_size=BATCH)
    def of(self, samples: daft.Series) -> list[object]:
        import numpy as np

        with noted(GIVEN.notes, "features"):
            return [self._log_mel(np.asarray(one, np.float32)) for one in samples.to_pylist()]


@daft.cls(max_concurrency=GIVEN.cores)
class Transcriber:
    def __init__(self) -> None:
        self._whisper = Whisper(GIVEN.model, GIVEN.beam, 1)

    @daft.method.batch(return_dtype=DataType.string(), batch_size=BATCH)
    def text(self, features: daft.Series) -> list[str]:
        with noted(GIVEN.notes, "model"):
            return [self._whisper.text(tokens) for tokens in self._whisper.tokens(features.to_pylist())]


def main() -> None:
    daft.set_runner_native()
    frame = daft.read_parquet(str(GIVEN.clips))
    frame = frame.with_column("samples", samples_of(frame[COLUMN]["bytes"]))
    frame = frame.with_column("features", Features().of(frame["samples"]))
    frame = frame.with_column("text", Transcriber().text(frame["features"]))
    frame.select(ROW, "text").write_parquet(str(GIVEN.into))


if __name__ == "__main__":
    main()
