"""Who may hear what: the signed addresses of a recording's sound, and what stands behind them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from dashboard.access import Viewer
from dashboard.audit import Event
from dashboard.cache import cache_folder
from dashboard.claimed import claimed
from dashboard.converted_sound import Conversions
from dashboard.peaks import Peaks
from dashboard.player.payload import Addresses
from dashboard.questions.recording import recording
from dashboard.sound import SOUND_PATH, SoundRoutes
from dashboard.stored_sound import SoundOf
from dashboard.tokens import Claim, Purpose
from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import MmerError
from mmer_ray.profiles import DecodeOptions

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from dashboard.session import Dashboard
    from mmer_ray.tables import Row

NUM_DECODERS = 2
MAX_NOTED = 10_000


class Sounds:
    """What one server needs for sound: decoders, waveforms, conversions. Ends with `close`."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._decoder = Decoder(DecodeOptions(), NUM_DECODERS)
        folder = cache_folder()
        self._conversions = Conversions(self._decoder, folder)
        self._peaks = Peaks(self._decoder, folder / "peaks", dashboard.reader.address)
        self._noted: OrderedDict[str, None] = OrderedDict()
        self._noting = Lock()

    def close(self) -> None:
        """End the decoders; what is being sent breaks off."""
        self._peaks.close()
        self._conversions.close()
        self._decoder.close()

    def routes(self) -> Sequence[Route]:
        """To be mounted beside the pages."""
        return SoundRoutes(self._find, self._conversions, self._peaks).routes()

    def _find(self, request: Request) -> SoundOf:
        """The recording that a token opens for who asks; the viewer's corpora are looked at again. Raises 403, and 404
        for what the lake has no longer, 503 where it does not answer."""
        viewer, corpus, recording_id, _ = claimed(self._dashboard, request, Purpose.SOUND, "hear")
        try:
            found = self._dashboard.ask(recording(recording_id, corpus, (corpus,))).to_pylist()
        except MmerError as exc:
            raise HTTPException(503, f"the lake did not answer: {exc}") from exc
        if not found or found[0]["status"] != "scored":
            raise HTTPException(404, "the lake has no such recording any longer")
        if request.method == "GET" and request.url.path.startswith(SOUND_PATH):
            self._note_heard(request.path_params["token"], viewer, corpus, recording_id)
        return sound_of(found[0])

    def _note_heard(self, token: str, viewer: str, corpus: str, recording_id: str) -> None:
        """Log it once for each address: a player asks for a recording in many parts."""
        with self._noting:
            if token in self._noted:
                return
            self._dashboard.audit.note(Event.HEARD, viewer, corpus=corpus, recording_id=recording_id)
            self._noted[token] = None
            while len(self._noted) > MAX_NOTED:
                self._noted.popitem(last=False)


def sound_of(row: Row) -> SoundOf:
    """What a row of `recordings` says of its file."""
    return SoundOf(
        corpus=row["corpus"],
        recording_id=row["recording_id"],
        uri=row["uri"],
        size_bytes=row["size_bytes"] or 0,
        container=row["container"] or "",
        channels=row["channels"] or 1,
        duration_ms=row["duration_ms"] or 0,
    )


def addresses_of(dashboard: Dashboard, viewer: Viewer, sound: SoundOf) -> Addresses:
    """Where this viewer's browser gets the sound from, for the next quarter of an hour."""
    subject = json.dumps([sound.corpus, sound.recording_id])
    token = dashboard.tokens.sign(Claim(viewer.name, Purpose.SOUND, subject))
    stored = None if sound.media_type is None else f"{SOUND_PATH}/{token}"
    note = None if stored else "Browsers cannot play this kind of file: it is converted while you listen."
    return Addresses(stored, f"{SOUND_PATH}/{token}?as=wav", f"/peaks/{token}", note)
