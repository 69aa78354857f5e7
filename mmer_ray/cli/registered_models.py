"""`mmer models promote`, and what the registry adds to `list`, `show` and `activate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.options import Json
from mmer_ray.cli.output import note, print_json, print_table, say

if TYPE_CHECKING:
    from mmer_ray.training.registry.entry import RegisteredModel
    from mmer_ray.training.registry.promotion import Promotion
    from mmer_ray.training.registry.registry import Registry
    from mmer_ray.training.registry.verdict import Verdict

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The --into folder of a finished `mmer train`.")]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="What it is called here; without it, family and digest, as in a lake.", show_default=False
    ),
]
Floor = Annotated[
    float | None,
    typer.Option("--floor", help="The least value of the metric; without it, that of gate.toml.", show_default=False),
]
Margin = Annotated[
    float | None,
    typer.Option(
        "--margin",
        help="How much worse than the active model it may be, at the lower end of the 95 % interval of the paired "
        "difference; without it, that of gate.toml, else 0.01.",
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="ua, wa, macro_f1, ccc_valence, ..; without it, ua.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Judge it; write nothing.")]


def promote(
    run: Run,
    name: Name = None,
    floor: Floor = None,
    margin: Margin = None,
    metric: Metric = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let a trained model into the registry, as its active model, where it passes the gate: a floor, and no worse than
    the active model on the same data. Refused: exit code 3.

    The registry is the folder in MMER_REGISTRY; its gate.toml declares floor, margin and metric.
    """
    from mmer_ray.training.registry.gate import read_gate
    from mmer_ray.training.registry.promotion import promote as promote_run
    from mmer_ray.training.registry.registry import Registry
    from mmer_ray.training.registry.run_folder import read_run

    registry = Registry()
    gate = read_gate(registry.gate_file, {"floor": floor, "margin": margin, "metric": metric})
    found = promote_run(registry, read_run(run), gate, name, dry_run=dry_run)
    if json:
        print_json(promotion_document(found, registry, dry_run))
    else:
        _show_promotion(found, dry_run)
    if not found.promoted:
        raise typer.Exit(ExitCode.SOME_FAILED)


def promotion_document(found: Promotion, registry: Registry, dry_run: bool) -> dict[str, Any]:
    """`mmer.promotion/1`."""
    document = {"schema": "mmer.promotion/1", "registry": str(registry.folder), "dry_run": dry_run, **asdict(found)}
    return document | {"promoted": found.promoted}


def list_registered() -> list[dict[str, Any]]:
    """The models of the registry, for `mmer.models/1`, the oldest first."""
    from mmer_ray.training.registry.registry import Registry

    registry = Registry()
    active = registry.active()
    return [
        {
            "name": one.name,
            "scorer": one.scorer,
            "family": one.family,
            "corpus": one.data.corpus,
            "registered_at": one.registered_at,
            "active": one.name == active,
            "metrics": {name: asdict(measure) for name, measure in one.metrics.items()},
        }
        for one in registry.models()
    ]


def print_registered(rows: list[dict[str, Any]]) -> None:
    """The table of `mmer models list`."""
    columns = ("registered model", "family", "trained on", "UA", "95 %", "registered", "")
    print_table(columns, [_row(row) for row in rows])
    say("score with one: mmer score SOURCE --lake DIR --set emotion.model=NAME")


def find_registered(name: str) -> RegisteredModel | None:
    """A model of the registry by its name there or in a lake; None where there is none."""
    from mmer_ray.training.registry.registry import Registry

    return Registry().find(name)


def show_registered(model: RegisteredModel, json: bool) -> None:
    """All that the registry knows of a model."""
    if json:
        print_json(asdict(model))
        return
    say(f"{model.name}, {model.family}", style="bold")
    if model.name != model.scorer:
        say(f"  in a lake: {model.scorer}")
    say(f"  registered {model.registered_at}, by code {model.revision or 'of an unknown revision'}")
    say(f"  SHA-256 {model.sha256}, {model.num_bytes / 1e6:.1f} MB")
    data = model.data
    say(f"  {data.corpus} ({data.digest[:16]}): {data.num_utterances} utterances of {data.num_speakers} speakers")
    say(f"  classes: {', '.join(f'{label} {number}' for label, number in data.labels.items())}")
    for fold in model.folds:
        say(f"  {fold.name}: {fold.num_utterances} utterances of {', '.join(fold.speakers)} tested")
    print_table(
        ("measure", "value", "95 %"),
        [(name, f"{one.value:.3f}", _interval(one.low, one.high)) for name, one in model.metrics.items()],
    )
    _show_verdict(model.verdict)


def activate_registered(name: str, json: bool) -> None:
    """Make a model of the registry its active one. Raises `UsageError` where it has none of that name."""
    from mmer_ray.errors import UsageError
    from mmer_ray.training.registry.registry import Registry

    registry = Registry()
    model = registry.find(name)
    if model is None:
        known = ", ".join(registry.names()) or "none"
        raise UsageError(
            f"no registered model is called {name!r}; registered are: {known}. To let a lake follow a model that has "
            "answered there, add --lake DIR"
        )
    with registry.changing():
        moved = registry.activate(model.name)
    if json:
        print_json({"schema": "mmer.models.activate/1", "registry": str(registry.folder), "active": model.name})
    else:
        say(f"{model.name} {'is' if moved else 'was already'} the active model: later ones are measured against it")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    ua = row["metrics"].get("ua")
    figures = ("-", "") if ua is None else (f"{ua['value']:.3f}", _interval(ua["low"], ua["high"]))
    return (
        row["name"],
        row["family"],
        row["corpus"],
        *figures,
        row["registered_at"],
        "active" if row["active"] else "",
    )


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _show_promotion(found: Promotion, dry_run: bool) -> None:
    if not found.promoted:
        say(f"{found.name} is refused", style="red")
    elif dry_run:
        say(f"{found.name} would be promoted", style="bold")
    elif not found.is_new:
        say(f"{found.name} was promoted before; the active model is {found.active}", style="bold")
    else:
        say(f"{found.name} is promoted: it is the active model that later ones are measured against", style="bold")
    _show_verdict(found.verdict)
    if found.promoted and not dry_run:
        say(f"ask a lake's recordings with it: mmer rescore --lake DIR --emotion {found.name}")
        say(f"let the lake follow it: mmer models activate {found.name} --lake DIR")


def _show_verdict(verdict: Verdict) -> None:
    gate = verdict.gate
    for reason in verdict.reasons:
        say(f"  {reason}", style="red")
    if verdict.passed and verdict.value is not None:
        say(f"  {gate.metric} {verdict.value:.3f}, the floor is {gate.floor:.3f}")
        against = "no active model to compare with" if verdict.paired is None else f"{gate.metric} {verdict.paired}"
        say(f"  {against}; the margin is {gate.margin:.3f}")
    for line in () if verdict.paired is None else verdict.paired.notes:
        note(f"  {line}", style="yellow")
