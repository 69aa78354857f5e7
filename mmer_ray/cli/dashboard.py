"""`mmer dashboard`: pages over a lake, for people who look at calls."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import LakeToRead
from mmer_ray.cli.output import note
from mmer_ray.errors import PreflightError
from mmer_ray.extras import how_to_install

DEFAULT_PORT = 8501

Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Listen there. Others than loopback need --access.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Listen at this port; 0 chooses a free one.")]
AccessFile = Annotated[
    Path | None,
    typer.Option("--access", metavar="FILE", help="Who may see which corpora (TOML).", show_default=False),
]
Header = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The header in which a proxy says who looks.", show_default=False),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        metavar="ADDRESS",
        help="Where the proxy's requests come from; all others are refused. Repeatable.",
        show_default=False,
    ),
]
AuditLog = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Note there what was opened, heard, exported and refused.", show_default=False),
]
Memory = Annotated[int, typer.Option(min=200, help="Memory of all queries together (MB).")]
Timeout = Annotated[float, typer.Option(min=1.0, help="Stop a query after so many seconds.")]


def dashboard(
    lake: LakeToRead = None,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    access: AccessFile = None,
    trusted_user_header: Header = None,
    trusted_proxy: Proxies = None,
    audit_log: AuditLog = None,
    memory_mb: Memory = 2_000,
    timeout_s: Timeout = 60.0,
) -> None:
    """Open a lake in the browser: overview, recordings, search, runs. Reads only, but for what people annotate."""
    if find_spec("streamlit") is None:
        raise PreflightError(f"the dashboard needs Streamlit, which is not installed: {how_to_install('dashboard')}")
    from dashboard.access import Mode, access_from
    from dashboard.server import serve
    from dashboard.session import LIMITS, Settings

    who = access_from(access, trusted_user_header, trusted_proxy or [])
    if who.mode is Mode.OIDC and find_spec("authlib") is None:
        raise PreflightError(f"[oidc] needs Authlib, which is not installed: {how_to_install('dashboard-oidc')}")
    limits = replace(LIMITS, memory_mb=memory_mb, timeout_s=timeout_s)
    serve(Settings(lake_to_read(lake), who, audit_log, limits), host, port, on_ready=_say_address)


def _say_address(address: str) -> None:
    note(f"the dashboard is open at {address} (Ctrl-C ends it)")
