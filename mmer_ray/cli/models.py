"""`mmer models`: models by name, those trained here, the emotion families, published checkpoints made ours, cards."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.model_fetch import fetch
from mmer_ray.cli.options import Json
from mmer_ray.cli.output import print_json, print_raw, print_table, say
from mmer_ray.cli.registered_models import (
    activate_registered,
    find_registered,
    list_registered,
    print_registered,
    promote,
    show_registered,
)
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.models.catalogue import NamedModel
    from mmer_ray.models.facts import ModelFacts
    from mmer_ray.models.resolver import ResolvedModel

models = typer.Typer(
    help="The models. Those that have names: list, fetch. Emotion families and checkpoints: show, import, card. Those "
    "trained here: promote into the registry, activate there or in a lake.",
    no_args_is_help=True,
)
models.command()(fetch)
models.command()(promote)

Size = Annotated[str | None, typer.Option(help="A named size; without it, all of them.", show_default=False)]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="FOLDER|OWNER/NAME@COMMIT",
        help="The RoBERTa whose features the checkpoint was trained with; without it, features must be given.",
        show_default=False,
    ),
]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Read FILE as another training of this named model, such as segmentation-3.0; without it, as an MMER.",
        show_default=False,
    ),
]
Trust = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust-checkpoint",
        metavar="PATH",
        help="Read this pickle though its digest is not known; may be repeated.",
        show_default=False,
    ),
]
LakeToMove = Annotated[
    str | None,
    typer.Option(
        "--lake",
        metavar="DIR",
        help="The lake whose corpora shall follow the model; left out: the registry's active model is meant.",
        show_default=False,
    ),
]
Heads = Annotated[int | None, typer.Option(min=1, help="Attention heads, where they are not 64 wide.")]


@models.command("list")
def list_models(json: Json = False) -> None:
    """The models that have names, with licence and place; those of the registry; every emotion family and size."""
    from mmer_ray.models.catalogue import CATALOGUE
    from mmer_ray.models.facts import all_facts

    found, named = all_facts(), [_named_row(model) for model in CATALOGUE.values()]
    registered = list_registered()
    if json:
        models = [asdict(facts) for facts in found]
        print_json({"schema": "mmer.models/1", "weights": named, "registered": registered, "models": models})
        return
    rows = [
        (one["name"], one["kind"], f"{one['num_bytes'] / 1e6:.0f} MB", one["licence"], one["here"]) for one in named
    ]
    print_table(("model", "kind", "size", "licence", "taken from"), [(*row[:4], row[4] or "not here") for row in rows])
    say("bring one: mmer models fetch NAME")
    if registered:
        print_registered(registered)
    columns = ("family", "size", "parameters", "trainable", "text encoder", "classes", "source")
    print_table(columns, [_row(facts) for facts in found])


@models.command()
def show(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY|NAME", help="A family, or a model of the registry by its name.")
    ],
    size: Size = None,
    json: Json = False,
) -> None:
    """One family's parameters, part by part, or all that the registry knows of a model. Nothing is loaded."""
    from mmer_ray.models.facts import facts_about
    from mmer_ray.models.family_names import FAMILIES

    if family not in FAMILIES and (registered := find_registered(family)) is not None:
        show_registered(registered, json)
        return
    found = facts_about(family, size)
    if json and size is not None:
        print_json({"schema": "mmer.model/1", **asdict(found[0])})
    elif json:
        print_json({"schema": "mmer.models/1", "models": [asdict(facts) for facts in found]})
    else:
        for facts in found:
            _show(facts)


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A published checkpoint: .pt, .bin or .safetensors.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="A new or empty folder for the model.")],
    text: Text = None,
    heads: Heads = None,
    as_: As = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Make a published MMER, of either version, or a relative of a named model a folder of ours. Executes nothing."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} is not an empty folder; name a new one")
    if not file.is_file():
        raise UsageError(f"{file} is no file; name a checkpoint")
    from mmer_ray.models.trust import require_trusted

    require_trusted(file, trust or ())
    if as_ is not None:
        _convert(file, into, as_, json)
        return
    from mmer_ray.models.parameter_counts import facts_of
    from mmer_ray.models.published import import_published, write_import

    encoder = _text_encoder(text)
    imported = import_published(file, encoder, heads)
    write_import(into, imported, file, encoder)
    facts = facts_of(imported.model, "imported")
    if json:
        document = {"folder": str(into), "num_tensors": imported.num_tensors, "file_sha256": imported.file_digest}
        print_json({"schema": "mmer.import/1", **document, **asdict(facts)})
        return
    say(f"{imported.num_tensors} tensors of {file.name} -> {into}", style="bold")
    _show(facts)
    say(f"score with it: mmer score SOURCE --lake DIR --set emotion.model={into}")


@models.command()
def card(
    model: Annotated[
        str, typer.Argument(metavar="FOLDER|NAME", help="A checkpoint folder, or a model of the registry by its name.")
    ],
) -> None:
    """What a checkpoint says of itself: its card, or its configuration where it has none."""
    from mmer_ray.models.layout import CARD_NAME, CONFIG_NAME
    from mmer_ray.models.registered import registered_files

    registered = registered_files(model)
    folder = Path(model) if registered is None else registered.folder
    for name in (CARD_NAME, "README.md", CONFIG_NAME):
        if (folder / name).is_file():
            print_raw((folder / name).read_text(encoding="utf-8"))
            return
    raise UsageError(f"{folder} holds no checkpoint: no {CARD_NAME} and no {CONFIG_NAME}")


@models.command()
def activate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="SCORER|NAME",
            help="An emotion model that has answered in the lake, by its name there or in the registry; without --lake "
            "a model of the registry.",
        ),
    ],
    lake: LakeToMove = None,
    corpus: Annotated[
        str | None, typer.Option(help="Only this corpus of the lake; without it, every one it answered in.")
    ] = None,
    json: Json = False,
) -> None:
    """Let a lake's corpora follow another emotion model; what the others answered stays readable.

    Without --lake it makes a model of the registry its active one again, which later models are measured against;
    `promote` does that by itself. No lake moves.
    """
    if lake is None:
        if corpus is not None:
            raise UsageError("--corpus names one of a lake's: add --lake DIR")
        activate_registered(model, json)
        return
    from mmer_ray.lake.activation import activate as activate_scorer
    from mmer_ray.lake.store import Lake as LakeStore

    registered = find_registered(model)
    scorer = model if registered is None else registered.scorer
    corpora = activate_scorer(LakeStore(lake), scorer, corpus)
    if json:
        print_json({"schema": "mmer.activate/1", "lake": lake, "scorer": scorer, "corpora": corpora})
        return
    say(f"{', '.join(corpora)}: active_emotions follows {scorer}")


def _text_encoder(text: str | None) -> ResolvedModel | None:
    """Find a text encoder; one of the hub is downloaded where it is not here yet."""
    if text is None:
        return None
    from mmer_ray.models.fetch import fetch as fetch_one
    from mmer_ray.models.refs import parse_ref

    return fetch_one(parse_ref("text_encoder", text)).model


def _convert(file: Path, into: Path, name: str, json: bool) -> None:
    """Convert another training of a named model. Raises `UsageError` for one that is used as it is published."""
    import pkgutil

    from mmer_ray.models.catalogue import CATALOGUE
    from mmer_ray.models.refs import ModelRef
    from mmer_ray.models.resolver import resolve

    model = CATALOGUE.get(name)
    if model is None or model.conversion is None:
        convertible = [one.name for one in CATALOGUE.values() if one.conversion is not None]
        raise UsageError(f"--as {name}: nothing is converted as that; names: {', '.join(convertible)}")
    into.mkdir(parents=True, exist_ok=True)
    pkgutil.resolve_name(model.conversion)(file, into)
    made = resolve(ModelRef(model.kind, str(into)))
    if json:
        print_json({"schema": "mmer.import/1", "folder": str(into), "kind": model.kind, "sha256": made.sha256})
    else:
        say(f"{file.name} -> {into}, a {model.kind} model", style="bold")


def _named_row(model: NamedModel) -> dict[str, Any]:
    from mmer_ray.models.model_places import place_of

    return {
        "name": model.name,
        "kind": model.kind,
        "num_bytes": model.num_bytes,
        "sha256": model.sha256,
        "licence": model.licence,
        "licence_page": None if model.hub is None else model.hub.page,
        "places": [str(place) for place in model.places],
        "here": place_of(model),
    }


def _row(facts: ModelFacts) -> tuple[Any, ...]:
    text = f"{facts.text_encoder:,}" if facts.text_encoder else "-"
    numbers = (f"{facts.parameters:,}", f"{facts.trainable:,}", text)
    return (facts.family, facts.size, *numbers, len(facts.labels), facts.source)


def _show(facts: ModelFacts) -> None:
    say(f"{facts.family} {facts.size}", style="bold")
    say(f"  {facts.source}")
    say(f"  classes: {', '.join(facts.labels)}{'; reads the dialogue' if facts.reads_dialogue else ''}")
    apart = f", text encoder {facts.text_encoder:,}" if facts.text_encoder else ""
    say(f"  {facts.parameters:,} parameters, {facts.trainable:,} of them trainable{apart}")
    print_table(("", ""), [(f"  {part}", f"{num:,}") for part, num in facts.parts.items()])
