"""What a request for something of one recording may have: its token is read, and who asks is looked at again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException

from dashboard.access import Refused
from dashboard.audit import Event
from dashboard.guard import viewer_of_request
from dashboard.tokens import Purpose, TokenError

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.session import Dashboard


class Claimed(NamedTuple):
    """One recording, and the viewer who may have it."""

    viewer: str
    corpus: str
    recording_id: str
    more: tuple[str, ...]
    """What else the token's subject says."""


def claimed(dashboard: Dashboard, request: Request, purpose: Purpose, verb: str) -> Claimed:
    """What the token in a request's path opens for who asks. Its subject is a JSON list that begins with the corpus and
    the recording; `verb` is what is refused. Raises 403, logged, where it is not for them."""
    named = corpus = recording_id = None
    try:
        claim = dashboard.tokens.read(request.path_params["token"], purpose)
        named = claim.viewer
        corpus, recording_id, *more = json.loads(claim.subject)
        if not viewer_of_request(dashboard.access, request, named).may_see(corpus):
            raise Refused(f"this recording is not yours to {verb}")
    except (TokenError, Refused) as exc:
        dashboard.audit.note(Event.REFUSED, named, corpus=corpus, recording_id=recording_id, detail=f"{purpose}: {exc}")
        raise HTTPException(403, str(exc)) from exc
    return Claimed(named, corpus, recording_id, tuple(more))
