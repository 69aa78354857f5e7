"""`mmer evaluate`: what an emotion model is worth on labelled speech."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.measure_rows import measure_row
from mmer_ray.cli.options import CorpusClasses, Json, LabelledClasses, Quiet, ScopeCorpus
from mmer_ray.cli.output import count, note, print_raw, print_table, say
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.runners.evaluation import Evaluated, Wanted
    from mmer_ray.training.evaluation.result import Evaluation

SHOWN = ("wa", "ua", "macro_f1", "ccc_valence", "ccc_arousal", "ccc_dominance", "ece", "jsd", "kld")


class Cluster(StrEnum):
    """What intervals are resampled over."""

    SPEAKER = "speaker"
    DIALOGUE = "dialogue"


class Text(StrEnum):
    """What the model is given to read."""

    REFERENCE = "reference"
    NONE = "none"


Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL|RUN]",
        help="An emotion model, named as emotion.model is, or the --into folder of `mmer train`.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR|FILE",
        help="Labelled speech: a corpus in its own layout, a manifest or a lake with annotations. Left out: that of "
        "the run, or the annotations of --lake.",
        show_default=False,
    ),
]
Kind = Annotated[str | None, typer.Option(help="Which layout it has; left out: told by its shape.", show_default=False)]
ScoredLake = Annotated[
    str | None,
    typer.Option("--lake", metavar="DIR", help="Evaluate the answers in a scored lake.", show_default=False),
]
Scorer = Annotated[
    str | None,
    typer.Option(metavar="SCORER", help="Whose answers in the lake, where several are.", show_default=False),
]
Into = Annotated[
    Path | None,
    typer.Option(
        "--into",
        metavar="DIR",
        help="Write evaluation.json, report.md, pictures/ and predictions there; of a run, no predictions.",
        show_default=False,
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="MODEL|RUN|DIR",
        help="Compare with it on the same utterances: a model, a run, or the --into of an evaluation; may be repeated.",
        show_default=False,
    ),
]
Baselines = Annotated[bool, typer.Option("--baselines", help="Train and compare with simple baselines.")]
Protocol = Annotated[str, typer.Option(help="How baselines are trained, where no run says: kfold, loso, loso5, ...")]
Asr = Annotated[
    Path | None,
    typer.Option(
        metavar="TABLE",
        help="Give the model recognized words: a .csv, .jsonl or .parquet with utterance_id and text.",
        show_default=False,
    ),
]
AsrSystem = Annotated[str, typer.Option(metavar="NAME", help="What recognized them, for the report.")]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out-unknown", help="Leave out, and count, labels that the model does not know.")
]


def evaluate(
    subject: Subject = None,
    data: Data = None,
    kind: Kind = None,
    classes: LabelledClasses = CorpusClasses.FOUR,
    lake: ScoredLake = None,
    scorer: Scorer = None,
    corpus: ScopeCorpus = None,
    into: Into = None,
    against: Against = None,
    baselines: Baselines = False,
    protocol: Protocol = "kfold",
    cluster: Annotated[Cluster, typer.Option(help="What intervals are resampled over.")] = Cluster.SPEAKER,
    text: Annotated[Text, typer.Option(help="What the model is given to read.")] = Text.REFERENCE,
    asr: Asr = None,
    asr_system: AsrSystem = "",
    leave_out_unknown: LeaveOut = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate an emotion model, a training's folds or a scored lake on labelled speech: figures with intervals."""
    from mmer_ray.runners.evaluation import Wanted
    from mmer_ray.training.evaluation.report import write_report
    from mmer_ray.training.run import RunFolder

    wanted = Wanted(
        data=data,
        kind=kind,
        classes=classes.value,
        protocol=protocol,
        with_baselines=baselines,
        against=tuple(against or ()),
        cluster=cluster.value,
        text=text.value,
        asr=asr,
        asr_system=asr_system,
        leave_out_unknown=leave_out_unknown,
    )
    found = _evaluated(subject, lake, scorer, corpus, wanted, quiet)
    a_run = subject is not None and RunFolder(Path(subject)).exists
    if a_run and into is not None and into.resolve() == Path(str(subject)).resolve():
        raise UsageError(f"{into} is the run's own folder and holds its report: name another one with --into")
    report = None if into is None else write_report(into, found.evaluation)
    if into is not None and not a_run:
        found.keep_predictions(into)
    if json:
        print_raw(found.evaluation.to_json())
    else:
        _show(found.evaluation, report)


def _evaluated(
    subject: str | None, lake: str | None, scorer: str | None, corpus: str | None, wanted: Wanted, quiet: bool
) -> Evaluated:
    from mmer_ray.cli.streams import reserved_stdout
    from mmer_ray.runners import evaluation
    from mmer_ray.training.run import RunFolder

    def tell(line: str) -> None:
        if not quiet:
            note(line, style="yellow")

    if (subject is None) == (lake is None):
        raise UsageError("name a model, a run's folder, or --lake: one of the three")
    if lake is None and (scorer is not None or corpus is not None):
        raise UsageError("--scorer and --corpus are for a scored lake: name it with --lake")
    with reserved_stdout():
        if lake is not None:
            return evaluation.evaluate_lake(lake, wanted, tell, scorer=scorer, corpus=corpus)
        name = str(subject)
        if (run := RunFolder(Path(name))).exists:
            return evaluation.evaluate_run(run, wanted, tell)
        return evaluation.evaluate_model(name, wanted, tell)


def _show(found: Evaluation, report: Path | None) -> None:
    say(f"{found.system} on {found.corpus}: {count(found.num_utterances, 'utterance')}, "
        f"{count(found.num_speakers, 'speaker')}", style="bold")  # fmt: skip
    names = [name for name in SHOWN if name in found.metrics]
    rows = [measure_row(name, found.metrics[name]) for name in names]
    rows += [measure_row(f"recall {label}", one) for label, one in found.recall.items()]
    print_table(("measure", "value", "95 % interval"), rows)
    for other in found.compared:
        gain = other.differences.get("ua")
        if gain is not None:
            p = "" if gain.p is None else f", p {gain.p:.3f}"
            say(f"UA {gain.value:+.3f} against {other.name} ({other.metrics['ua'].value:.3f}){p}")
    if found.calibration is not None:
        say(f"calibration: {found.calibration.verdict}")
    for why, num in found.num_left_out.items():
        say(f"left out: {count(num, 'utterance')}, {why}", style="yellow")
    for line in found.notes:
        say(line, style="yellow")
    if report is not None:
        say(f"report: {report}")
