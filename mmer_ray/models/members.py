"""Members: the interchangeable parts behind an interface, and how a profile names one. No torch.

A profile's `model` is a model's name (`models/refs.py`) for the default member of its kind, or `member:name`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.models.telemetry import silence_telemetry

KeyPart = Mapping[str, Any]
"""What a stage's own answers hang on, as JSON: part of its key."""


@dataclass(frozen=True)
class Member:
    """One line of a table of members."""

    loader: str
    """`module:callable`, imported when the member is loaded."""
    kind: str
    """The kind of model that it reads, one of `layout.KINDS`."""

    def load(self, *arguments: Any) -> Any:
        """Import and call the loader, with its libraries' telemetry off."""
        silence_telemetry()
        return pkgutil.resolve_name(self.loader)(*arguments)


@dataclass(frozen=True)
class Chosen:
    """The member that a profile asks for, and its checkpoint."""

    name: str
    member: Member
    address: str

    @property
    def ref(self) -> ModelRef:
        """The model that the member reads. Raises `UsageError` for a name that cannot be meant."""
        return parse_ref(self.member.kind, self.address)

    def resolved(self) -> ResolvedModel:
        """Find the model. Raises `PreflightError` where there is none."""
        return resolve(self.ref)

    def key_part(self) -> KeyPart:
        """A copy of a model in another folder is the same model. Raises `PreflightError` where there is none."""
        return {"member": self.name, "model": self.resolved().digest}


def choose(model: str, members: Mapping[str, Member]) -> Chosen:
    """Read a profile's `model`; without a member's name it is the first of the table."""
    name, colon, address = model.partition(":")
    if not (colon and name in members):
        name, address = next(iter(members)), model
    return Chosen(name, members[name], address)
