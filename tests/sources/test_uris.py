"""Addresses and the paths behind them."""

from __future__ import annotations

import pytest

from mmer_ray.sources.uris import local_path, spellings


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/calls/é.wav", "/calls/é.wav".encode()),
        ("/calls/\udce9.wav", b"/calls/\xe9.wav"),
        ("file:///calls/caf%E9%25.wav", b"/calls/caf\xe9%.wav"),
        ("file://localhost/calls/a.wav", b"/calls/a.wav"),
        ("calls/a%20b.wav", b"calls/a%20b.wav"),
    ],
)
def test_a_uri_leads_to_its_path(uri: str, path: bytes) -> None:
    assert local_path(uri) == path


@pytest.mark.parametrize("uri", ["file://server/share/a.wav", "file://a.wav", "/calls/\ud800.wav"])
def test_a_uri_that_no_path_of_this_machine_can_be_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"file:///|surrogates"):
        local_path(uri)


def test_a_name_is_tried_as_it_is_before_its_other_spellings() -> None:
    assert spellings("a.wav") == ["a.wav"]
    assert spellings(" é.wav") == [" é.wav", "é.wav", " e\u0301.wav", "e\u0301.wav"]
    assert spellings("e\u0301.wav") == ["e\u0301.wav", "é.wav"]
