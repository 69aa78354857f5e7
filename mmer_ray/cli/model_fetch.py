"""`mmer models fetch`: what a profile needs, or models by name, brought to this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.options import Json, ProfileName, Settings
from mmer_ray.cli.output import print_json, print_table
from mmer_ray.errors import PreflightError, UsageError

if TYPE_CHECKING:
    from mmer_ray.models.fetch import Download, Fetched
    from mmer_ray.models.refs import ModelRef

TextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="OWNER/NAME@COMMIT",
        help="A text encoder for `mmer models import`, instead of a profile's models.",
        show_default=False,
    ),
]


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Names of `mmer models list`, instead of a profile's models."),
]


def fetch(
    names: Names = None,
    profile: ProfileName = "embedded",
    settings: Settings = None,
    text: TextEncoder = None,
    json: Json = False,
) -> None:
    """Bring the models that a profile needs, or those named: of the hub at a fixed commit, once, and checked."""
    fetched, failures = fetch_all(_wanted(names or [], profile, settings or [], text))
    rows = [_row(name, one) for name, one in fetched.items()]
    if json:
        print_json({"schema": "mmer.models.fetch/1", "models": rows})
    elif rows:
        columns = ("model", "where", "digest", "size", "fetched")
        print_table(columns, [(*list(row.values())[:3], _size(row["num_bytes"]), row["fetched"]) for row in rows])
    if failures:
        raise PreflightError(*failures)


def _wanted(names: list[str], profile: str, settings: list[str], text: str | None) -> dict[str, ModelRef]:
    """What to call each model -> the model. Raises `UsageError` for a name that is not in the catalogue."""
    from mmer_ray.models.catalogue import CATALOGUE
    from mmer_ray.models.refs import ModelRef, parse_ref
    from mmer_ray.profiles import load_profile
    from mmer_ray.stages.preflight import model_refs

    if unknown := [name for name in names if name not in CATALOGUE]:
        raise UsageError(f"there is no model {unknown[0]!r} in the catalogue; it has: {', '.join(CATALOGUE)}")
    wanted = {name: ModelRef(CATALOGUE[name].kind, name) for name in names}
    if text is not None:
        wanted["text encoder"] = parse_ref("text_encoder", text)
    return wanted or model_refs(load_profile(profile, settings))


def fetch_all(refs: Mapping[str, ModelRef], download: Download | None = None) -> tuple[dict[str, Fetched], list[str]]:
    """Fetch all that can be had; also returns what was in the way of the others."""
    from mmer_ray.models.fetch import fetch as fetch_one

    fetched: dict[str, Fetched] = {}
    failures: list[str] = []
    for name, ref in refs.items():
        try:
            fetched[name] = fetch_one(ref, download)
        except PreflightError as error:
            failures.append(f"{name}: {error}")
    return fetched, failures


def _row(name: str, fetched: Fetched) -> dict[str, Any]:
    model = fetched.model
    if fetched.downloaded:
        what = "downloaded"
    elif model.ref.revision is None:
        what = "embedded, nothing to fetch" if model.ref.address == "embedded" else "local, nothing to fetch"
    else:
        what = "was here"
    return {
        "model": name,
        "where": str(model.path),
        "digest": model.digest,
        "num_bytes": model.num_bytes,
        "fetched": what,
    }


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
