"""The top of every page: who looks, at what, and what happens where the lake cannot answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import pyarrow as pa
import streamlit as st

from dashboard.access import Access, Mode, Refused, Viewer
from dashboard.audit import Event
from dashboard.filters import CORPUS
from dashboard.question import Question
from dashboard.questions.corpora import all_corpora
from dashboard.questions.method import newest_commit
from dashboard.session import Dashboard, served
from mmer_ray.errors import LakeError, MmerError, UsageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One showing of a page to one viewer."""

    name: str
    viewer: Viewer
    dashboard: Dashboard
    corpora: tuple[str, ...]
    """Those of the lake that the viewer may see, sorted."""
    asked: list[tuple[str, Question]] = field(default_factory=list)
    """What the page asked of the lake by `ask`, and what for: shown at its foot. A recording's conversation is read
    in another way."""

    def ask(self, what_for: str, question: Question) -> pa.Table:
        """The answer to a question, which is then shown at the page's foot."""
        self.asked.append((what_for, question))
        return self.dashboard.ask(question)

    def require_corpus(self, corpus: str, recording_id: str | None = None) -> None:
        """End the page here, and log it, where the viewer may not see this corpus. A corpus that is not there is
        refused in the same words: nobody learns which there are."""
        if not self.viewer.may_see(corpus) or corpus not in self.corpora:
            self.refuse(f"You may not see the corpus {corpus!a}, or there is none.", corpus, recording_id)

    def refuse(self, why: str, corpus: str | None = None, recording_id: str | None = None) -> NoReturn:
        """Say why this is not shown, log it, end the page."""
        self.dashboard.audit.note(
            Event.REFUSED, self.viewer.name, corpus=corpus, recording_id=recording_id, detail=self.name
        )
        st.error("Not shown to you.")
        st.text(why)
        self.end()

    def end(self) -> NoReturn:
        """End the page here, without its SQL. Nothing can be shown after `st.stop`."""
        _offer_sign_out(self.dashboard.access)
        st.stop()

    def show_foot(self) -> None:
        """As of when this is, who looks, and the page's SQL with the values that filled it."""
        (newest,) = self.dashboard.ask(newest_commit()).to_pylist()
        when = "" if newest["committed_at"] is None else f", {newest['committed_at']:%Y-%m-%d %H:%M} UTC"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"The lake as of commit {newest['sequence']}{when}.")
            if self.dashboard.access.mode is not Mode.LOCAL:
                st.text(f"Signed in as {self.viewer.name}")
            _offer_sign_out(self.dashboard.access)
        _show_sql(sql_key(self.name), tuple(self.asked))


def sql_key(page: str) -> str:
    """In the state of a session: whether the SQL of a page is shown."""
    return f"sql of {page}"


@st.fragment
def _show_sql(key: str, asked: Sequence[tuple[str, Question]]) -> None:
    """The questions of a page, once somebody opens the place: what colours SQL is a megabyte and a half of script."""
    place = st.expander("Show the SQL", key=key, on_change="rerun")
    if place.open:
        with place:
            st.caption("What this page asked of the lake, a recording's transcript aside. `mmer query` takes the same.")
            for what_for, question in asked:
                st.text(what_for)
                # Long lines would have to be scrolled to, which the keyboard cannot do there.
                st.code(question.shown(), language="sql", wrap_lines=True)


@contextmanager
def open_page(name: str, title: str | None = None) -> Iterator[Page]:
    """Show one page: its title, what `with` holds, the SQL at its foot. Ends it for whom it is not; also where it ends
    early somebody who signed in can sign out."""
    dashboard = served()
    viewer = _viewer(dashboard)
    if title:
        st.title(title)
    try:
        corpora = viewer.of_lake(row["corpus"] for row in dashboard.ask(all_corpora()).to_pylist())
        page = Page(name, viewer, dashboard, corpora)
        for corpus in st.query_params.get_all(CORPUS):
            page.require_corpus(corpus)
        if not corpora:
            _say_empty(page)
        yield page
        page.show_foot()
    except MmerError as exc:
        _say_error(exc)
        _offer_sign_out(dashboard.access)


def must_sign_in(access: Access) -> bool:
    """Whether somebody can sign in here and has not."""
    return access.mode is Mode.OIDC and not st.user.is_logged_in


def name_of_viewer(access: Access) -> str | None:
    """Who is signed in; ends the page with a button where somebody can sign in here. Raises `Refused` for an address
    that the identity provider does not vouch for."""
    if access.mode is Mode.PROXY:
        return st.context.headers.get(access.header)
    if access.mode is Mode.OIDC:
        if must_sign_in(access):
            st.title("Calls and emotions")
            st.button("Sign in", type="primary", on_click=st.login)
            st.stop()
        # Some providers write it as a word.
        if st.user.get("email_verified") not in (True, "true"):
            raise Refused("your identity provider does not say that your e-mail address is verified")
        return str(st.user.get("email"))
    return None


def _viewer(dashboard: Dashboard) -> Viewer:
    """Who looks; ends the page for a stranger."""
    name: str | None = None
    try:
        name = name_of_viewer(dashboard.access)
        return dashboard.access.viewer(name)
    except Refused as exc:
        dashboard.audit.note(Event.REFUSED, name, detail="page")
        st.error("Not shown to you.")
        st.text(str(exc))
        _offer_sign_out(dashboard.access)
        st.stop()


def _offer_sign_out(access: Access) -> None:
    """Also for whom nothing is shown: they may have signed in as somebody else."""
    if access.mode is Mode.OIDC:
        st.button("Sign out", on_click=st.logout, type="tertiary")


def _say_empty(page: Page) -> NoReturn:
    if page.viewer.corpora is None:
        st.info("This lake holds no recording yet. Score some: `mmer score FOLDER --lake DIR`. Then reload this page.")
    else:
        st.info("None of the corpora that you may see is in this lake. Ask whoever runs it for access.")
    page.end()


def _say_error(exc: MmerError) -> None:
    """An error of the lake or of a question in plain words; its text may name files, and is shown as text."""
    _log.warning("%s: %s", type(exc).__name__, exc)
    if isinstance(exc, LakeError):
        st.error("The lake cannot be read at the moment. `mmer lake verify` says what is wrong with it.")
    elif isinstance(exc, UsageError):
        st.error(
            "This is too much to ask at once. Choose fewer days or corpora; if that does not help, the lake may need "
            "`mmer lake compact`."
        )
    else:
        st.error("The lake did not answer. Reload the page; if it fails again, tell whoever runs the dashboard.")
    st.text(str(exc))
