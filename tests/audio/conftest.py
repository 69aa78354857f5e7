"""What the tests of the decoder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Samples, Window
from tests.bad_audio.case import Decode


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decode]:
    """Decodes the bytes of a file that has one window."""
    folder = tmp_path_factory.mktemp("decoded")

    def decoded(data: bytes) -> tuple[Samples, AudioFacts]:
        path = folder / "file"
        path.write_bytes(data)
        (window, facts) = decoder.decode(Recording(uri=str(path), root=str(folder)))
        assert isinstance(window, Window)
        assert isinstance(facts, AudioFacts)
        return window.samples, facts

    with Decoder(DecodeOptions()) as decoder:
        yield decoded
