"""Arguments that several commands share, described once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.runner import Runner

if TYPE_CHECKING:
    from mmer_ray.runners.job import JobOptions


Lake = Annotated[
    str, typer.Option("--lake", metavar="DIR", help="The lake: the folder (or s3:// prefix) that holds the tables.")
]
LakeToRead = Annotated[
    str | None,
    typer.Option(
        "--lake",
        metavar="DIR",
        help="The lake: the folder (or s3:// prefix) that holds the tables. Left out: the one that you scored last.",
        show_default=False,
    ),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Files, folders, s3:// prefixes or manifests (.csv, .jsonl, .parquet with a uri column).",
        show_default=False,
    ),
]
Roots = Annotated[
    list[str] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Let manifests and links lead into this folder (or s3:// prefix) too; may be repeated.",
        show_default=False,
    ),
]
RootsOfRecordings = Annotated[
    list[str] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Let links lead into this folder too; without it, each recording lies in its own folder. May be repeated.",
        show_default=False,
    ),
]
ScopeCorpus = Annotated[
    str | None, typer.Option("--corpus", help="Only this corpus; without it, all of them.", show_default=False)
]
ScopeWhere = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="SQL", help="Only recordings that meet this condition over `recordings`.", show_default=False
    ),
]
Corpus = Annotated[str, typer.Option(help="Name under which the recordings are kept in the lake.")]
ProfileName = Annotated[
    str, typer.Option("--profile", metavar="NAME|FILE.toml", help="A shipped profile or a TOML file of yours.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="stage.key=value", help="Change one key of the profile; may be repeated."),
]
Transcripts = Annotated[
    str | None,
    typer.Option(
        "--transcripts",
        metavar="DIR",
        help="Words (NAME.json of WhisperX, Whisper, faster-whisper) and turns (NAME.rttm) that need not be found.",
        show_default=False,
    ),
]
RunnerName = Annotated[Runner, typer.Option("--runner", help="auto takes Ray where its start pays off.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Score at most this many recordings.", show_default=False)]
Erased = Annotated[bool, typer.Option("--erased", help="Score what was erased, or removed by its age, again.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar and no progress lines.")]
RecordingName = Annotated[
    str, typer.Argument(metavar="RECORDING", help="A recording's id, its uri, or the end of its uri.")
]
RecordingNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECORDING]...", help="Recordings by id, uri, or the end of the uri.", show_default=False),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="SQL", help="Those whose row in `recordings` meets this condition.", show_default=False
    ),
]
CorpusChoice = Annotated[
    str | None, typer.Option("--corpus", metavar="NAME", help="Those of this corpus.", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR", help="Write there instead of to stdout; several go into a new folder."
    ),
]


def runner_setting(runner: Runner) -> list[str]:
    """`--runner` as a setting of the profile; `auto` leaves the profile's own choice."""
    return [] if runner == Runner.AUTO else [f"run.runner={runner}"]


def job_options(
    sources: list[str],
    lake: str,
    corpus: str,
    profile: str,
    settings: list[str] | None,
    runner: Runner,
    limit: int | None,
    roots: list[str] | None,
    transcripts: str | None,
    erased: bool,
) -> JobOptions:
    """The job that the shared arguments of `score` and `plan` describe. Raises `UsageError`."""
    from mmer_ray.profiles import load_profile
    from mmer_ray.runners.job import JobOptions

    return JobOptions(
        sources=tuple(sources),
        lake=lake,
        corpus=corpus,
        profile=load_profile(profile, [*(settings or ()), *runner_setting(runner)]),
        limit=limit,
        roots=tuple(roots or ()),
        transcripts=transcripts,
        erased=erased,
    )


class CorpusClasses(StrEnum):
    """Which labels of a corpus count."""

    FOUR = "four"
    OWN = "own"


LabelledClasses = Annotated[
    CorpusClasses,
    typer.Option(
        "--classes",
        help="Which labels of a corpus count: the four of most published figures (neutral, happy, sad, angry), "
        "or all of its own.",
    ),
]
