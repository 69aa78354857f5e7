"""What frozen encoders make of sounds and texts, kept on disk: each goes through an encoder once, whatever is trained.

A file for each sound or text, `MAKER/DD/DIGEST.safetensors`: MAKER is the digest of the encoder and of how it is asked,
DIGEST that of the samples or the words, DD its first two digits. Files are put in place whole, so that several
processes may share a folder; it may be deleted at any time. Whisper tiny takes 38 kB a second of speech and layer.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.models.digests import cache_folder

NAME = "features"
"""Of the tensor in a file."""
KEPT_AT_ONCE = 64
"""After so many, what was made is on the disk: a run that is ended loses no more."""


class FeatureCache:
    """The features that one encoder makes, asked in one way."""

    def __init__(self, folder: Path, maker: str) -> None:
        """`maker`: of `encoder_digest`."""
        self._folder = folder / maker

    def read(self, digest: str) -> Tensor | None:
        """The features of what has this digest, as they were written; None where there are none yet.

        Raises `PreflightError` for a file that is damaged.
        """
        path = self._path(digest)
        try:
            return load_file(path)[NAME]
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError) as exc:
            raise PreflightError(f"{path} holds no features ({exc}): delete it, it will be made anew") from exc

    def write(self, digest: str, features: Tensor) -> None:
        """Keep features: any type and shape."""
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent) as folder:
            unfinished = Path(folder) / path.name
            save_file({NAME: features.contiguous()}, unfinished)
            unfinished.replace(path)

    def through(self, digests: Sequence[str], make: Callable[[list[int]], list[Tensor]]) -> list[Tensor]:
        """The features of each digest, in order: read, or made and kept, `KEPT_AT_ONCE` at a time.

        `make` is given places in `digests` and returns the features of each.
        """
        known = {digest: self.read(digest) for digest in digests}
        first_places = {digest: place for place, digest in reversed(list(enumerate(digests)))}
        missing = sorted(place for digest, place in first_places.items() if known[digest] is None)
        for first in range(0, len(missing), KEPT_AT_ONCE):
            places = missing[first : first + KEPT_AT_ONCE]
            for place, made in zip(places, make(places), strict=True):
                self.write(digests[place], made)
                known[digests[place]] = made
        found = [known[digest] for digest in digests]
        return [features for features in found if features is not None]

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.safetensors"


def default_folder() -> Path:
    """Where features lie unless told otherwise: among the user's caches."""
    return cache_folder() / "features"


def encoder_digest(encoder: nn.Module, *asked: object) -> str:
    """Name an encoder by its class and weights, and by how it is asked, such as which layers: 64 hex digits."""
    digest = hashlib.sha256(repr((type(encoder).__qualname__, *asked)).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def sound_digest(samples: NDArray[np.float32]) -> str:
    """Name a sound by its samples, float32, shape (num_samples,): 64 hex digits."""
    return hashlib.sha256(samples.tobytes()).hexdigest()


def text_digest(text: str) -> str:
    """Name a text by its letters: 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
