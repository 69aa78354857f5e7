"""Members: the interchangeable parts behind an interface, and how a profile names one. No torch.

A profile's `model` is `MEMBER:NAME`, or a model's name alone (`models/refs.py`): `choose` says whose it is then.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmer_ray.errors import PreflightError
from mmer_ray.extras import how_to_install
from mmer_ray.models.catalogue import CATALOGUE
from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.models.telemetry import silence_telemetry

KeyPart = Mapping[str, Any]
"""What a stage's own answers hang on, as JSON: part of its key."""


@dataclass(frozen=True)
class Package:
    """An installed package that a member needs and that comes with an extra of this one."""

    name: str
    """As in `import NAME`."""
    extra: str

    def require(self) -> None:
        """Raise `PreflightError` where it is not installed."""
        if find_spec(self.name) is None:
            raise PreflightError(
                f"the package {self.name.replace('_', '-')} is not installed. Remedies: {how_to_install(self.extra)}"
            )


@dataclass(frozen=True)
class Member:
    """One line of a table of members."""

    loader: str
    """`module:callable`, imported when the member is loaded."""
    kind: str
    """The kind of model that it reads, one of `layout.KINDS`."""
    second_kind: str | None = None
    """The kind of a second model that it reads; None: it reads one."""
    package: Package | None = None
    """What it needs beside the packages that this one always brings."""

    def load(self, *arguments: Any) -> Any:
        """Import and call the loader, with its libraries' telemetry off.

        Raises `PreflightError` where a package is missing.
        """
        self.require_package()
        silence_telemetry()
        return pkgutil.resolve_name(self.loader)(*arguments)

    def require_package(self) -> None:
        """Raise `PreflightError` where a package that the member needs is not installed."""
        if self.package is not None:
            self.package.require()


@dataclass(frozen=True)
class Chosen:
    """The member that a profile asks for, and its checkpoint."""

    name: str
    member: Member
    address: str
    second_address: str | None = None
    """Of the second model, where the member reads two."""

    @property
    def ref(self) -> ModelRef:
        """The model that the member reads. Raises `UsageError` for a name that cannot be meant."""
        return parse_ref(self.member.kind, self.address)

    @property
    def second_ref(self) -> ModelRef | None:
        """The second model that the member reads, if it reads two. Raises `UsageError` as `ref`."""
        if self.member.second_kind is None:
            return None
        assert self.second_address is not None, f"{self.name} reads two models"
        return parse_ref(self.member.second_kind, self.second_address)

    def resolved(self) -> ResolvedModel:
        """Find the model. Raises `PreflightError` where there is none."""
        return resolve(self.ref)

    def resolved_all(self) -> list[ResolvedModel]:
        """Find the models, one or two. Raises `PreflightError` where one is missing."""
        return [resolve(ref) for ref in (self.ref, self.second_ref) if ref is not None]

    def key_part(self) -> KeyPart:
        """A copy of a model in another folder is the same model. Raises `PreflightError` where there is none."""
        first, *second = [model.digest for model in self.resolved_all()]
        return {"member": self.name, "model": first, **({"second_model": second[0]} if second else {})}


def choose(model: str, members: Mapping[str, Member], second_model: str | None = None) -> Chosen:
    """Read a profile's `model`, `MEMBER:NAME` or `NAME`.

    Without a member's name it is the one that reads a model of this name, where the catalogue has it, else the first of
    the table: `base` is `whisper:base`, and a folder is the first's. `second_model` is the name of the second model,
    for members that read two.
    """
    name, colon, address = model.partition(":")
    if not (colon and name in members):
        name, address = _reader_of(model, members), model
    return Chosen(name, members[name], address, second_model if members[name].second_kind else None)


def _reader_of(model: str, members: Mapping[str, Member]) -> str:
    first = next(iter(members))
    named = CATALOGUE.get(model)
    # A folder may have such a name; what is there is meant, as in `parse_ref`.
    if named is None or Path(model).exists():
        return first
    return next((name for name, member in members.items() if member.kind == named.kind), first)
