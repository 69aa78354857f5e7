"""Method and limits: what the figures mean, what they do not, and who may see what."""

from __future__ import annotations

import streamlit as st

from dashboard.access import Mode
from dashboard.method_text import ACCESS, FIGURES, LIMITS, OIDC, POLICY
from dashboard.page import open_page
from dashboard.questions.method import models

with open_page("method", "Method and limits") as page:
    for text in (FIGURES, LIMITS, POLICY):
        st.markdown(text)
    st.subheader("Models in use")
    st.dataframe(
        page.ask("Models in use", models(page.corpora)),
        hide_index=True,
        column_config={
            "corpus": "Corpus",
            "scorer": "Emotion model",
            "activated_at": st.column_config.DatetimeColumn("In use since (UTC)", format="YYYY-MM-DD HH:mm"),
        },
        alt="The emotion model of each corpus, and since when it is in use",
    )
    st.markdown(ACCESS)
    if page.dashboard.access.mode is Mode.OIDC:
        st.warning(OIDC)
