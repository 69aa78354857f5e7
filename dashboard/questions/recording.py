"""What is asked about one recording. Each question names the viewer's corpora besides."""

from __future__ import annotations

from dashboard.question import Question


def recording(recording_id: str, corpus: str | None, corpora: tuple[str, ...]) -> Question:
    """Its row of `recordings`, or none. Without a corpus it is that of the first one that has it."""
    return Question.of(
        """
        SELECT * FROM recordings
        WHERE recording_id = $recording AND corpus = coalesce($corpus, corpus) AND list_contains($corpora, corpus)
        ORDER BY status = 'scored' DESC, is_copy, corpus, uri LIMIT 1
        """,
        recording=recording_id,
        corpus=corpus,
        corpora=corpora,
    )


def utterance_numbers(recording_id: str, corpus: str, corpora: tuple[str, ...]) -> Question:
    """`utterance_idx` of its utterances, in order."""
    return Question.of(
        """
        SELECT utterance_idx FROM utterances
        WHERE recording_id = $recording AND corpus = $corpus AND list_contains($corpora, corpus)
        ORDER BY utterance_idx
        """,
        recording=recording_id,
        corpus=corpus,
        corpora=corpora,
    )


def said_of(recording_id: str, corpus: str, heard_key: str, corpora: tuple[str, ...]) -> Question:
    """What people said of this hearing: `utterance_idx`, `rater`, `verdict`, `scorer`, `label`, `text`. The same audio
    may be in other corpora: what was said there is shown to who may see these."""
    return Question.of(
        """
        SELECT utterance_idx, rater, verdict, scorer, label, text FROM annotations
        WHERE recording_id = $recording AND corpus = $corpus AND heard_key = $heard AND list_contains($corpora, corpus)
            AND list_contains($corpora, written_in)
        ORDER BY utterance_idx, rater
        """,
        recording=recording_id,
        corpus=corpus,
        heard=heard_key,
        corpora=corpora,
    )


def speaker_edits(recording_id: str, corpus: str, heard_key: str, corpora: tuple[str, ...]) -> Question:
    """What people changed about the speakers of this hearing, the earliest first."""
    return Question.of(
        """
        SELECT edit_id, action, speaker, target, utterances, turns, author, edited_at FROM speaker_edits
        WHERE recording_id = $recording AND corpus = $corpus AND heard_key = $heard AND list_contains($corpora, corpus)
        ORDER BY edited_at, edit_id
        """,
        recording=recording_id,
        corpus=corpus,
        heard=heard_key,
        corpora=corpora,
    )


def shown_elsewhere(recording_id: str, heard_key: str, corpora: tuple[str, ...]) -> Question:
    """One row, `is_elsewhere`: whether a corpus besides these shows this hearing too. Edits of speakers would change it
    there."""
    return Question.of(
        """
        SELECT count(*) > 0 AS is_elsewhere FROM recordings
        WHERE recording_id = $recording AND heard_key = $heard AND status = 'scored'
            AND NOT list_contains($corpora, corpus)
        """,
        recording=recording_id,
        heard=heard_key,
        corpora=corpora,
    )
