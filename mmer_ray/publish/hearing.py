"""Recordings transcribed again, with the settings that the lake's own words were heard with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import ValidationError

from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.lake.queries import LakeReader
from mmer_ray.profiles import DecodeOptions, DiarizeOptions, Profile, TranscribeOptions, VadOptions
from mmer_ray.publish.audio_copy import GivesSound
from mmer_ray.recognizers.interface import Recognizer
from mmer_ray.records import AudioFacts, Recording, Utterance, Window
from mmer_ray.stages.diarize import diarize
from mmer_ray.stages.transcribe import transcribe
from mmer_ray.tables import Row

OPTIONS = """
    WITH shown AS (
        SELECT coalesce(source_key, heard_key) AS heard_key FROM results
        WHERE corpus = $corpus AND recording_id = $recording_id
    )
    SELECT runs.options FROM internal.results AS heard JOIN shown USING (heard_key) JOIN runs USING (run_id)
    WHERE heard.recording_id = $recording_id LIMIT 1
"""
"""The profile of the run whose words a corpus sees: where speakers were counted again, that of the first count."""


class DecodesAndGivesSound(GivesSound, Protocol):
    """`audio.decode.Decoder`."""

    def decode(self, recording: Recording) -> Generator[Window | AudioFacts, None, None]: ...
    def close(self) -> None: ...


class Listener:
    """A decoder, a diarizer and a recognizer in memory; a context manager, which owns the decoder."""

    def __init__(self, decoder: DecodesAndGivesSound, diarizer: Diarizer, recognizer: Recognizer) -> None:
        self.decoder = decoder
        self._diarizer = diarizer
        self._recognizer = recognizer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.decoder.close()

    def hear(self, recording: Recording) -> list[Utterance]:
        """What is said in a recording, by channel and window. Speakers have no names. Raises `AudioError`."""
        said: list[Utterance] = []
        with contextlib.closing(self.decoder.decode(recording)) as windows:
            for window in windows:
                if isinstance(window, Window):
                    (heard,) = transcribe(diarize([window], self._diarizer), self._recognizer)
                    said += heard.utterances
        return said


Load = Callable[[Profile], Listener]


def load_listener(profile: Profile) -> Listener:
    """Load what a profile hears with. Raises `PreflightError` where a model is missing."""
    from mmer_ray.audio.decode import Decoder
    from mmer_ray.audio.vad import load_vad
    from mmer_ray.diarizers.members import load_diarizer
    from mmer_ray.recognizers.members import load_recognizer

    diarizer = load_diarizer(profile.diarize, load_vad(profile.vad))
    return Listener(Decoder(profile.decode), diarizer, load_recognizer(profile.transcribe))


class Listeners:
    """The listener of each recording: the last one stays loaded until `close`."""

    def __init__(self, reader: LakeReader, load: Load) -> None:
        self._reader, self._load = reader, load
        self._exit = contextlib.ExitStack()
        self._loaded: tuple[Profile, Listener] | None = None

    def close(self) -> None:
        """Let the models go."""
        self._exit.close()

    def listener_of(self, row: Row) -> Listener | None:
        """What heard a scored recording (a row of `choose`); None where the lake does not say. Raises
        `PreflightError` where a model is missing."""
        profile = self._profile_of(row)
        if profile is None:
            return None
        if self._loaded is None or self._loaded[0] != profile:
            self._exit.close()
            self._loaded = profile, self._exit.enter_context(self._load(profile))
        return self._loaded[1]

    def _profile_of(self, row: Row) -> Profile | None:
        """The stages up to the words, as the run had them."""
        place = {name: row[name] for name in ("corpus", "recording_id")}
        found = self._reader.sql(OPTIONS, place).column("options").to_pylist()
        options: dict[str, Any] = json.loads(found[0] or "{}") if found else {}
        if not options:
            return None
        try:
            return Profile(
                name="heard again",
                decode=DecodeOptions.model_validate(options.get("decode", {})),
                vad=VadOptions.model_validate(options.get("vad", {})),
                diarize=DiarizeOptions.model_validate(options.get("diarize", {})),
                transcribe=TranscribeOptions.model_validate(options.get("transcribe", {})),
            )
        except ValidationError:
            # An option of an earlier version, which nothing here knows.
            return None


def of_each_channel(said: list[Utterance]) -> list[Utterance]:
    """The same utterances as if one speaker spoke on each channel: what is said over the border of two windows, where
    speakers have other numbers, is then one text."""
    return [replace(one, speaker="S1") for one in said]
