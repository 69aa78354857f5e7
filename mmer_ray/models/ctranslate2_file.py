"""The tensors in a CTranslate2 model's `model.bin`, read without CTranslate2. No torch.

The layout is that of the library's converters (`ctranslate2/specs/model_spec.py`, `ModelSpec._serialize`, binary
version 6), all numbers little-endian: version, u32; name of the specification; revision, u32; number of variables, u32;
each variable's name, rank (u8), sizes (u32 each), type (u8), bytes (u32) and values in C order; number of aliases, u32;
each alias and the variable that it stands for. A string is its length with the closing zero (u16), its UTF-8 bytes and
that zero.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmer_ray.errors import PreflightError

BINARY_VERSION = 6
DTYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""In the order of their numbers in the file."""
SCALE = "_scale"
"""Ends the name of the scales that belong to quantised values."""


@dataclass(frozen=True)
class CTranslate2File:
    """What a `model.bin` holds."""

    name: str
    """Of the specification, such as `WhisperSpec`."""
    revision: int
    """Of the specification."""
    tensors: Mapping[str, NDArray[Any]]
    """Name, aliases among them, to values as they are stored, read-only; bfloat16 comes as float32."""

    def float32(self, name: str) -> NDArray[np.float32]:
        """One tensor in float32, dequantised: stored integers divided by their scales, one a row, or one for all.

        Raises `KeyError` where there is none of the name.
        """
        values = self.tensors[name]
        if not np.issubdtype(values.dtype, np.integer) or values.ndim == 0 or name + SCALE not in self.tensors:
            return values.astype(np.float32)
        scale = self.tensors[name + SCALE].astype(np.float32)
        return values.astype(np.float32) / (scale.reshape(-1, *[1] * (values.ndim - 1)) if scale.ndim else scale)


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read all tensors of a `model.bin` as they are stored: name -> values. See `read_file`."""
    return dict(read_file(path).tensors)


def read_file(path: Path) -> CTranslate2File:
    """Read a `model.bin`. Raises `PreflightError` where it is none, is cut short or of another binary version."""
    try:
        return _Reader(memoryview(path.read_bytes())).file()
    except (OSError, ValueError, IndexError, struct.error) as exc:
        raise PreflightError(f"{path} is no model of CTranslate2 that can be read: {exc}; bring it again") from exc


class _Reader:
    """Reads a file's content from its beginning to its end."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    def file(self) -> CTranslate2File:
        version = self._number("I")
        if version != BINARY_VERSION:
            raise ValueError(f"its binary version is {version}, only {BINARY_VERSION} is known")
        name, revision = self._string(), self._number("I")
        tensors = dict(self._variable() for _ in range(self._number("I")))
        for _ in range(self._number("I")):
            alias, variable = self._string(), self._string()
            if variable not in tensors:
                raise ValueError(f"the alias {alias} names {variable}, which is not there")
            tensors[alias] = tensors[variable]
        if self._at != len(self._content):
            raise ValueError(f"{len(self._content) - self._at} bytes follow its last alias")
        return CTranslate2File(name, revision, tensors)

    def _variable(self) -> tuple[str, NDArray[Any]]:
        name = self._string()
        shape = tuple(self._number("I") for _ in range(self._number("B")))
        dtype = DTYPES[self._number("B")]
        content = self._take(self._number("I"))
        if dtype == "bfloat16":
            # The upper half of a float32.
            values = (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
            values.flags.writeable = False
        else:
            values = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
        if values.size != prod(shape):
            raise ValueError(f"{name} has {values.size} values for the shape {shape}")
        return name, values.reshape(shape)

    def _string(self) -> str:
        return bytes(self._take(self._number("H"))[:-1]).decode("utf-8")

    def _number(self, code: str) -> int:
        (number,) = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))
        return int(number)

    def _take(self, num_bytes: int) -> memoryview:
        taken = self._content[self._at : self._at + num_bytes]
        if len(taken) < num_bytes:
            raise ValueError(f"it ends after {len(self._content)} bytes, in the middle")
        self._at += num_bytes
        return taken
