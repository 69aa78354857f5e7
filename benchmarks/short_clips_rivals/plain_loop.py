"""One process, clip after clip, every core in each operation: the loop that a user writes first."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from steps import COLUMN, ROW, LogMel, Whisper, arguments, decode, noted


def main() -> None:
    given = arguments()
    log_mel, whisper = LogMel(), Whisper(given.model, given.beam, given.cores)
    rows, texts = [], []
    with pq.ParquetFile(given.clips) as file:
        for batch in file.iter_batches(batch_size=16):
            for row, cell in zip(batch.column(ROW).to_pylist(), batch.column(COLUMN).to_pylist(), strict=True):
                with noted(given.notes, "decode"):
                    samples = decode(cell["bytes"])
                with noted(given.notes, "features"):
                    features = log_mel(samples)
                with noted(given.notes, "model"):
                    (tokens,) = whisper.tokens([features])
                rows.append(row)
                texts.append(whisper.text(tokens))
    pq.write_table(pa.table({"row": rows, "text": texts}), given.into / "texts.parquet")


if __name__ == "__main__":
    main()
