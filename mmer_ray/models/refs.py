"""Which model is meant: what kind, at what address, at which revision, with which digest. No torch.

    embedded                                   comes with mmer_ray
    NAME                                       one of the catalogue (`catalogue.py`): tiny.en, base, campplus;
                                               of emotion models also one of the registry (`registered.py`)
    FOLDER                                     a local folder, or one file
    package:NAME/PATH                          a folder or file inside an installed Python package
    OWNER/NAME@COMMIT                          the Hugging Face hub at a commit, 40 hex digits

Each may end in `#sha256=DIGEST`, the SHA-256 of the file with the weights. A folder that has the name of a model of the
catalogue, or of the registry, is written `./NAME`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.models.catalogue import CATALOGUE, NamedModel, names_of
from mmer_ray.models.layout import KINDS

EMBEDDED = "embedded"
PACKAGE = "package:"
SHA256 = "#sha256="
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelRef:
    """A model by name. Nothing is looked for yet: see `resolver.resolve`."""

    kind: str
    """One of `layout.KINDS`."""
    address: str
    """`embedded`, a name of the catalogue or of the registry, `package:NAME/PATH`, a folder or file, or, with a
    revision, `OWNER/NAME` on the hub."""
    revision: str | None = None
    """Commit of the hub, 40 hex digits: a branch can move, and with it every answer."""
    sha256: str | None = None
    """SHA-256 of the file with the weights, 64 hex digits; None: not checked."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no kind of model {self.kind!r}; kinds: {', '.join(KINDS)}")
        if self.address == EMBEDDED and KINDS[self.kind].asset is None:
            embedded = ", ".join(kind for kind, needs in KINDS.items() if needs.asset)
            raise UsageError(f"no {self.kind} model is embedded; embedded are: {embedded}")
        if self.revision is not None and not _COMMIT.fullmatch(self.revision):
            raise UsageError(f"{self.address}@{self.revision}: give the commit of the hub, 40 hex digits")
        if self.sha256 is not None and not _DIGEST.fullmatch(self.sha256):
            raise UsageError(f"{self.address}: a SHA-256 has 64 hex digits, not {self.sha256!r}")

    @property
    def named(self) -> NamedModel | None:
        """The model of the catalogue that is meant; None where the address is of another form."""
        model = CATALOGUE.get(self.address) if self.revision is None else None
        return model if model is not None and model.kind == self.kind else None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.address}{revision}{SHA256 + self.sha256 if self.sha256 else ''}"


def parse_ref(kind: str, text: str) -> ModelRef:
    """Read a model's name as a profile or a command line gives it. Raises `UsageError` for one that cannot be meant.

    >>> parse_ref("ctc", "embedded")
    ModelRef(kind='ctc', address='embedded', revision=None, sha256=None)
    >>> parse_ref("whisper", "package:some_models/tiny").address
    'package:some_models/tiny'
    >>> parse_ref("whisper", "tiny.en").named.licence
    'MIT'
    """
    named, _, digest = text.strip().partition(SHA256)
    sha256 = digest.lower() or None
    repository, at, revision = named.rpartition("@")
    # A folder may have such a name; what is there is meant.
    if at and _REPOSITORY.fullmatch(repository) and not Path(named).exists():
        return ModelRef(kind, repository, revision, sha256)
    if not named:
        raise UsageError(f"the name of the {kind} model is empty")
    if (other := CATALOGUE.get(named)) and other.kind != kind and not Path(named).exists():
        raise UsageError(f"{named} is a {other.kind} model; of the {kind} models the catalogue has {names_of(kind)}")
    return ModelRef(kind, named, None, sha256)
