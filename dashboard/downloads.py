"""Files of what is filtered: the links on a page, and the route that answers them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qs

import pyarrow as pa
import streamlit as st
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dashboard.access import Refused
from dashboard.audit import Event
from dashboard.cache import cache_folder, unnamed_file
from dashboard.export import Format, pieces, write_rows
from dashboard.filters import Filters, filters_of
from dashboard.guard import viewer_of_request
from dashboard.questions.corpora import all_corpora
from dashboard.questions.recordings import Order, export_recordings
from dashboard.questions.search import Part, export_utterances
from dashboard.tokens import Claim, Purpose, TokenError
from mmer_ray.errors import MmerError, UsageError

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.access import Viewer
    from dashboard.page import Page
    from dashboard.question import Question
    from dashboard.session import Dashboard

PATH = "/export"

_log = logging.getLogger(__name__)


class What(StrEnum):
    """What can be exported."""

    RECORDINGS = "recordings"
    UTTERANCES = "utterances"


@dataclass(frozen=True, slots=True)
class Export:
    """One file to be had, without its format."""

    what: What
    filters: Filters
    order: Order = Order.NEWEST
    """Of recordings."""
    part: Part = Part.ANYWHERE
    """Where utterances begin, as `min_s` is how long they are: what the search asks beside the filters."""
    min_s: float = 0.0

    def question(self, corpora: Sequence[str]) -> Question:
        """Its rows, of these corpora alone."""
        if self.what is What.RECORDINGS:
            return export_recordings(self.filters, corpora, self.order)
        return export_utterances(self.filters, corpora, self.part, self.min_s)

    def subject(self, form: Format) -> str:
        """What a token says of it."""
        place = [self.part.value, self.min_s]
        return json.dumps([self.what.value, form.value, self.order.value, *place, self.filters.to_address()])


def export_of(subject: str) -> tuple[Export, Format]:
    """What `Export.subject` has said."""
    what, form, order, part, min_s, address = json.loads(subject)
    return Export(What(what), filters_of(parse_qs(address)), Order(order), Part(part), min_s), Format(form)


def offer(page: Page, exports: Sequence[Export]) -> None:
    """Links to files of what is filtered. They hold for a quarter of an hour, for this viewer alone."""
    tokens = page.dashboard.tokens
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download what is filtered:")
        for one in exports:
            for form in Format:
                token = tokens.sign(Claim(page.viewer.name, Purpose.EXPORT, one.subject(form)))
                name = "CSV" if form is Format.CSV else "Parquet"
                st.link_button(f"{one.what.value.capitalize()} as {name}", f"{PATH}/{token}", type="tertiary")


def export_route(dashboard: Dashboard) -> Route:
    """`GET /export/{token}`: the file, 403 where it is not for who asks, 413 where it is too much at once, 503 where
    the lake does not answer."""

    def answer(request: Request) -> Response:
        named: str | None = None
        try:
            claim = dashboard.tokens.read(request.path_params["token"], Purpose.EXPORT)
            named = claim.viewer
            viewer = viewer_of_request(dashboard.access, request, named)
        except (TokenError, Refused) as exc:
            dashboard.audit.note(Event.REFUSED, named, detail=f"export: {exc}")
            return PlainTextResponse(f"{exc}\n", 403)
        return _file(dashboard, viewer, *export_of(claim.subject))

    return Route(f"{PATH}/{{token}}", answer, methods=["GET"])


def _file(dashboard: Dashboard, viewer: Viewer, export: Export, form: Format) -> Response:
    try:
        held = [row["corpus"] for row in dashboard.ask(all_corpora()).to_pylist()]
        corpora = export.filters.scope(viewer, held)
        question = export.question(corpora)
        file = _written(dashboard, question, form)
    except UsageError as exc:
        return PlainTextResponse(f"This is too much for one file: {exc}\nChoose fewer days or corpora.\n", 413)
    except MmerError as exc:
        return PlainTextResponse(f"The lake did not answer: {exc}\nTry again soon.\n", 503)
    except OSError as exc:
        _log.warning("an export cannot be written: %s", exc)
        return PlainTextResponse("The server has no room for this file.\nChoose fewer days or corpora.\n", 503)
    for corpus in corpora:
        dashboard.audit.note(Event.EXPORTED, viewer.name, corpus=corpus, detail=f"{export.what} {form}")
    headers = {
        "content-disposition": f'attachment; filename="{export.what}.{form}"',
        "content-length": str(os.fstat(file.fileno()).st_size),
        "cache-control": "no-store",
    }
    return StreamingResponse(pieces(file), media_type=form.media_type, headers=headers)


def _written(dashboard: Dashboard, question: Question, form: Format) -> IO[bytes]:
    """The rows in a file without a name, so that no export is held in memory, however slowly it is taken."""
    file = unnamed_file(cache_folder())

    def write(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        # It may hold some rows of a lake that was rewritten meanwhile.
        file.seek(0)
        file.truncate()
        write_rows(form, schema, batches, file)
        file.flush()

    try:
        dashboard.export(question, write)
    except BaseException:
        file.close()
        raise
    return file
