"""One recording's transcript as a file: the links on its page, and the route that answers them."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dashboard.audit import Event
from dashboard.claimed import claimed
from dashboard.questions.recording import recording
from dashboard.tokens import Claim, Purpose
from dashboard.withheld import without_withheld
from mmer_ray.errors import MmerError
from mmer_ray.export.formats import export

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.page import Page
    from dashboard.session import Dashboard
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.tables import Row

PATH = "/export/recording"
SAID = "utterances"
"""The table without whose rows there is nothing to write."""
MAX_NAME_CHARS = 80


class TextFormat(StrEnum):
    """A kind of file; the names are those of `mmer export`."""

    VTT = "vtt"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """As in HTTP."""
        return "text/vtt; charset=utf-8" if self is TextFormat.VTT else "application/json"


def offer_conversation(page: Page, row: Row, conversation: Conversation) -> None:
    """Links to the transcript, for this viewer alone and a quarter of an hour; words where nothing is left of it."""
    if SAID in conversation.gone:
        st.caption("What was said here has reached its age and was removed: there is no transcript to download.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download this transcript:")
        for form in TextFormat:
            subject = json.dumps([row["corpus"], row["recording_id"], form.value])
            token = page.dashboard.tokens.sign(Claim(page.viewer.name, Purpose.TRANSCRIPT, subject))
            st.link_button(f"As {'WebVTT' if form is TextFormat.VTT else 'JSON'}", f"{PATH}/{token}", type="tertiary")


def conversation_route(dashboard: Dashboard) -> Route:
    """`GET /export/recording/{token}`: the file, 403 where it is not for who asks, 404 where it is gone, 503 where the
    lake does not answer."""

    def answer(request: Request) -> Response:
        viewer, corpus, recording_id, (written,) = claimed(dashboard, request, Purpose.TRANSCRIPT, "export")
        form = TextFormat(written)
        try:
            found = dashboard.ask(recording(recording_id, corpus, (corpus,))).to_pylist()
            conversation = dashboard.conversations.of(found[0]) if found and found[0]["status"] == "scored" else None
        except MmerError as exc:
            raise HTTPException(503, f"the lake did not answer: {exc}") from exc
        if conversation is None:
            raise HTTPException(404, "the lake has no such recording any longer")
        if SAID in conversation.gone:
            raise HTTPException(404, "what was said in this recording has reached its age and was removed")
        dashboard.audit.note(
            Event.EXPORTED, viewer, corpus=corpus, recording_id=recording_id, detail=f"transcript {form}"
        )
        return _file(conversation, form)

    return Route(f"{PATH}/{{token}}", answer, methods=["GET"])


def _file(conversation: Conversation, form: TextFormat) -> Response:
    row = conversation.recording
    # As `mmer export` writes it, but for what a policy withholds.
    text = export(row["uri"], without_withheld(conversation).utterances, form.value)
    headers = {
        "content-disposition": f'attachment; filename="{_file_name(row)}.{form}"',
        "cache-control": "no-store",
    }
    # A lone surrogate cannot be written as UTF-8.
    return Response(text.encode("utf-8", "replace"), media_type=form.media_type, headers=headers)


def _file_name(row: Row) -> str:
    """Of characters that need no quoting in a header."""
    stem = PurePosixPath(row["uri"] or "").stem
    return re.sub(r"[^A-Za-z0-9.-]+", "_", stem)[:MAX_NAME_CHARS].strip("._") or "recording"
