"""`mmer serve`: the online endpoint, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.caution import show_caution
from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.options import ProfileName, Settings
from mmer_ray.cli.output import note, say, span

if TYPE_CHECKING:
    from mmer_ray.profiles import Profile
    from mmer_ray.serve_options import ServeOptions

_ASKED = b"\nmmer: stopping; what is being answered is ended first. Ctrl-C again ends at once.\n"
_AT_ONCE = b"\nmmer: ended at once.\n"
LOOK_EVERY_S = 1.0

Host = Annotated[
    str | None, typer.Option("--host", help="The address to listen on; without it `serve.host`.", show_default=False)
]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Without it `serve.port`.", show_default=False)
]
Insecure = Annotated[
    bool, typer.Option("--insecure-no-auth", help="Answer without keys; only on an address of this machine alone.")
]


def serve(
    profile: ProfileName = "embedded",
    settings: Settings = None,
    host: Host = None,
    port: Port = None,
    insecure_no_auth: Insecure = False,
) -> None:
    """Answer over HTTP: transcripts, speakers and emotions of one clip at a time, as OpenAI's API and more."""
    wanted = _profile(profile, settings, host, port)
    if insecure_no_auth:
        require_loopback(wanted.serve.host)
    from mmer_ray.runners.cluster import StoppedError
    from mmer_ray.runners.endpoint import online
    from mmer_ray.stages.caution import caution_about

    note(f"starting {wanted.name} ..")
    with stop_on_signal(_ASKED, _AT_ONCE) as stop:
        try:
            with online(wanted, insecure=insecure_no_auth, stop=stop) as endpoint:
                say(f"{endpoint.address} answers after {span(endpoint.start_s)}; Ctrl-C stops it")
                show_caution(caution_about(wanted))
                if not insecure_no_auth:
                    say_if_keyless(wanted.serve)
                # In steps: a wait without end holds signals back on some systems.
                while not stop.wait(LOOK_EVERY_S):
                    pass
        except StoppedError:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def say_if_keyless(options: ServeOptions) -> None:
    """Say how a key is made where nobody has one. On a cluster elsewhere the keys lie there."""
    from mmer_ray.errors import PreflightError
    from mmer_ray.serving.key_file import KeyFile, key_file_path

    path = key_file_path(options)
    try:
        is_keyless = all(key.revoked for key in KeyFile(path).all_keys())
    except (PreflightError, OSError) as error:
        # The endpoint runs, and answers 503 until they can be read.
        say(f"keys cannot be read: {error}", style="yellow")
        return
    if is_keyless and not os.environ.get("RAY_ADDRESS"):
        say(f"no key in {path} is valid, so that nobody can ask yet: mmer keys add NAME", style="yellow")


def _profile(name: str, settings: list[str] | None, host: str | None, port: int | None) -> Profile:
    from mmer_ray.profiles import load_profile

    options = [*(settings or ())]
    if host is not None:
        options.append(f'serve.host="{host}"')
    if port is not None:
        options.append(f"serve.port={port}")
    return load_profile(name, options)


def require_loopback(host: str) -> None:
    """Raise `UsageError` unless every address of `host` is one that this machine alone can reach."""
    from mmer_ray.errors import UsageError

    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise UsageError(f"--host {host}: {error}") from error
    if not found or not all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found):
        raise UsageError(
            f"--insecure-no-auth is for loopback alone, and {host} is reached from elsewhere: "
            "make keys with `mmer keys add NAME`, or take --host 127.0.0.1"
        )
