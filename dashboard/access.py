"""Who looks, and which corpora they may see.

Three ways, one per server:

- local: nothing is configured. One viewer sees everything; the server listens on loopback alone.
- proxy: a proxy in front has asked who it is and says so in a header. The header counts where the request comes from
  the proxy's own address; all other requests are refused.
- oidc: Streamlit asks an identity provider (`st.login`).

The last two read a file:

    [viewers."anna@example.org"]
    corpora = ["sales", "support"]    # or corpora = "all"
    annotate = true

    [oidc]                            # only without a proxy
    redirect_uri = "https://calls.example.org/oauth2callback"
    server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
    client_id = "..."
    client_secret_file = "/run/secrets/oidc"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmer_ray.errors import UsageError

ALL = "all"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
OIDC_KEYS = ("redirect_uri", "server_metadata_url", "client_id", "client_secret_file")


class Refused(Exception):  # noqa: N818
    """A request that is not answered; the message says why, and is safe to show."""


class Mode(StrEnum):
    """How it is known who looks."""

    LOCAL = "local"
    PROXY = "proxy"
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks at the lake."""

    name: str
    corpora: tuple[str, ...] | None
    """None: all of the lake, also those to come."""
    annotate: bool = False
    """Whether they may write verdicts, corrections and speakers' names."""

    def may_see(self, corpus: str) -> bool:
        """Whether this corpus is theirs to see."""
        return self.corpora is None or corpus in self.corpora

    def of_lake(self, corpora: Iterable[str]) -> tuple[str, ...]:
        """Those of the lake's corpora that they may see."""
        return tuple(corpus for corpus in corpora if self.may_see(corpus))


LOCAL_VIEWER = Viewer("local", corpora=None, annotate=True)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may look, and how it is known who does."""

    mode: Mode = Mode.LOCAL
    viewers: Mapping[str, Viewer] = field(default_factory=dict)
    header: str = ""
    """Of the proxy, in lower case."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks that requests may come from."""
    oidc: Mapping[str, str] = field(default_factory=dict)

    def viewer(self, name: str | None) -> Viewer:
        """The viewer of this name; the name is not asked for in local mode. Raises `Refused` for a stranger."""
        if self.mode is Mode.LOCAL:
            return LOCAL_VIEWER
        if not name:
            raise Refused("nobody is signed in")
        if name not in self.viewers:
            raise Refused(f"{name!a} is not among the viewers of this dashboard; ask whoever runs it for access")
        return self.viewers[name]

    def check_origin(self, peer: str | None, host: str | None) -> None:
        """Raise `Refused` for a request that does not come the way it must: from the proxy, or, in local mode, to a
        name of this machine. Other names mean that a page elsewhere had its own name point here."""
        if self.mode is Mode.LOCAL and _name_of(host) not in LOCAL_NAMES:
            raise Refused("this dashboard answers at localhost only")
        if self.mode is Mode.PROXY and not self._is_proxy(peer):
            raise Refused("this dashboard answers through its proxy only")

    def check_page(self, origin: str | None, host: str | None) -> None:
        """Raise `Refused` for a web socket that a page of another address opened. Streamlit itself allows every port of
        this machine, and to know all addresses of this machine it would ask a host outside. Programs that are no
        browsers name no page."""
        if origin is not None and urlsplit(origin).netloc.lower() != (host or "").lower():
            raise Refused("this dashboard answers its own pages only; a proxy must pass on the header Host as it came")

    def name_in(self, values: Iterable[str]) -> str | None:
        """Who the proxy says it is, of all values that the header has in a request. Raises `Refused` where it says
        so more than once: a client may have sent the other one."""
        found = list(values)
        if len(found) > 1:
            raise Refused("the proxy's header stands in the request more than once; let the proxy replace it")
        return found[0].strip() if found else None

    def _is_proxy(self, peer: str | None) -> bool:
        if peer is None:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in ip_network(one) for one in self.proxies)


LOCAL = Access()


def _name_of(host: str | None) -> str:
    """A host without its port, in lower case."""
    name = (host or "").lower()
    return name if name.endswith("]") else name.rpartition(":")[0] or name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def access_from(path: Path | None, header: str | None, proxies: Iterable[str]) -> Access:
    """What the options of `mmer dashboard` mean. Raises `UsageError` naming the option or the file's key."""
    trusted = tuple(_network(one) for one in proxies)
    if path is None:
        if header or trusted:
            raise UsageError("--trusted-user-header needs --access FILE: it says who may see which corpora")
        return Access()
    content = _read(path)
    viewers = _viewers(content.get("viewers"), path)
    if header:
        if not trusted:
            raise UsageError("--trusted-user-header needs --trusted-proxy ADDRESS: others could send the header too")
        return Access(Mode.PROXY, viewers, header.lower(), trusted)
    if trusted:
        raise UsageError("--trusted-proxy needs --trusted-user-header NAME: the header in which it says who looks")
    return Access(Mode.OIDC, viewers, oidc=_oidc(content.get("oidc"), path))


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as exc:
        raise UsageError(f"--trusted-proxy {text}: no address or network; write 10.0.0.5 or 10.0.0.0/24") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"--access {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"--access {path}: not TOML: {exc}") from exc


def _viewers(content: Any, path: Path) -> dict[str, Viewer]:
    if not isinstance(content, dict) or not content:
        raise UsageError(f"--access {path}: it names no viewer; add [viewers.NAME] with corpora = [...]")
    return {name: _viewer(name, entry, path) for name, entry in content.items()}


def _viewer(name: str, entry: Any, path: Path) -> Viewer:
    where = f"--access {path}: [viewers.{name}]"
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table")
    if unknown := sorted(set(entry) - {"corpora", "annotate"}):
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}; it may have corpora and annotate")
    corpora, annotate = entry.get("corpora"), entry.get("annotate", False)
    if not isinstance(annotate, bool):
        raise UsageError(f"{where} annotate must be true or false")
    if corpora == ALL:
        return Viewer(name, None, annotate)
    if not isinstance(corpora, list) or not all(isinstance(one, str) for one in corpora):
        raise UsageError(f'{where} corpora must be a list of names, or "all"')
    return Viewer(name, tuple(corpora), annotate)


def _oidc(content: Any, path: Path) -> dict[str, str]:
    where = f"--access {path}: [oidc]"
    if not isinstance(content, dict):
        raise UsageError(f"--access {path}: name a proxy's header (--trusted-user-header), or add a table [oidc]")
    for key in OIDC_KEYS:
        if not isinstance(content.get(key), str):
            raise UsageError(f'{where} needs {key} = "..."')
    if unknown := sorted(set(content) - set(OIDC_KEYS)):
        raise UsageError(f"{where} has the unknown key {unknown[0]!r}; it may have {', '.join(OIDC_KEYS)}")
    secret_file = Path(content["client_secret_file"])
    try:
        secret = secret_file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise UsageError(f"{where} client_secret_file {secret_file}: {exc.strerror}") from exc
    return {**{key: content[key] for key in OIDC_KEYS[:3]}, "client_secret": secret}
