"""`mmer keys`: who may use the online endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.options import Json, ProfileName, Settings
from mmer_ray.cli.output import note, print_json, print_raw, print_table, say

if TYPE_CHECKING:
    from mmer_ray.serving.key_file import KeyFile

keys = typer.Typer(
    help="The keys of the online endpoint (`mmer serve`): add, list, revoke. A running endpoint heeds a change at "
    "once. The file is `serve.keys` of the profile.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what holds the key, such as `dialler`.")]


@keys.command()
def add(name: Name, profile: ProfileName = "embedded", settings: Settings = None, json: Json = False) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    file = _key_file(profile, settings)
    key = file.add(name)
    if json:
        print_json({"schema": "mmer.key/1", "file": str(file.path), "name": name, "key": key})
        return
    note(f"the key {name}, kept as a hash in {file.path}; it is not shown again:")
    print_raw(f"{key}\n")


@keys.command("list")
def list_keys(profile: ProfileName = "embedded", settings: Settings = None, json: Json = False) -> None:
    """The keys by name, also those that were revoked. None is shown itself."""
    file = _key_file(profile, settings)
    found = [
        {"name": key.name, "id": key.key_id, "added": key.added, "revoked": key.revoked} for key in file.all_keys()
    ]
    if json:
        print_json({"schema": "mmer.keys_list/1", "file": str(file.path), "keys": found})
        return
    if not found:
        say(f"no keys in {file.path}; make one: mmer keys add NAME")
        return
    print_table(("name", "id", "added", "revoked"), [tuple(key.values()) for key in found])


@keys.command()
def revoke(name: Name, profile: ProfileName = "embedded", settings: Settings = None, json: Json = False) -> None:
    """End a key. A running endpoint refuses it from the next request on; its jobs cannot be reached any more."""
    file = _key_file(profile, settings)
    key = file.revoke(name)
    if json:
        revoked = {"name": key.name, "id": key.key_id, "revoked": key.revoked}
        print_json({"schema": "mmer.key_revoked/1", "file": str(file.path), **revoked})
        return
    say(f"revoked: {key.name}")


def _key_file(profile: str, settings: list[str] | None) -> KeyFile:
    from mmer_ray.profiles import load_profile
    from mmer_ray.serving.key_file import KeyFile, key_file_path

    return KeyFile(key_file_path(load_profile(profile, settings or ()).serve))
