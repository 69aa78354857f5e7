"""From a model's name to its files, checked. Nothing is downloaded, no torch.

The hub is looked for in its local cache alone; `fetch` fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models import layout
from mmer_ray.models.catalogue import CATALOGUE, NamedModel, names_of, remedies, wrong_digest
from mmer_ray.models.digests import content_sha256, file_sha256s
from mmer_ray.models.model_cache import sums_of
from mmer_ray.models.model_places import folder_of, hub_snapshot, package_folders
from mmer_ray.models.refs import EMBEDDED, PACKAGE, ModelRef
from mmer_ray.models.registered import RegisteredFiles, registered_files

DIGEST_DIGITS = 16


class MissingModelError(PreflightError):
    """A model that is not on this machine, or not whole; the message has every remedy."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model on disk, whole and, where its name has a digest, checked."""

    ref: ModelRef
    path: Path
    """Its folder, or the one file that it is."""
    sha256: str
    """64 hex digits over names and bytes of the files that change answers."""
    num_bytes: int
    """Size of these files."""

    @property
    def digest(self) -> str:
        """The first 16 hex digits: equal digests give equal answers, wherever the model lies."""
        return self.sha256[:DIGEST_DIGITS]


def resolve(ref: ModelRef) -> ResolvedModel:
    """Find a model and check it; one of the catalogue is made in the model cache where it needs joining or converting.

    Raises `MissingModelError` where it is not there or lacks a file, `PreflightError` where its weights have another
    digest than its name says, or cannot be read or made, `UsageError` for a name that means two models.
    """
    named, registered = ref.named, _registered(ref)
    path = _find(ref, named, registered)
    if named is None and (lacking := layout.missing_files(ref.kind, path)):
        raise _missing(ref, path, _what_lacks(ref.kind, path, lacking))
    try:
        files = layout.counted_files(path, ref.kind) if named is None else _checked_files(named, path)
        _check_weights(ref, files)
        sha256 = content_sha256(files, path if path.is_dir() else None)
        if registered is not None and sha256 != registered.sha256:
            raise PreflightError(_changed(ref, registered, sha256))
        return ResolvedModel(ref, path, sha256, sum(file.stat().st_size for file in files))
    except OSError as exc:
        raise PreflightError(f"the {ref.kind} model in {path} cannot be read: {exc}") from exc


def _registered(ref: ModelRef) -> RegisteredFiles | None:
    """The registered emotion model that is meant; None where the name is of another form."""
    if ref.kind != "emotion" or ref.revision is not None or ref.named is not None or ref.address == EMBEDDED:
        return None
    found = registered_files(ref.address)
    if found is not None and Path(ref.address).exists():
        raise UsageError(f"{ref.address} is a registered model and a folder here: write ./{ref.address} for the folder")
    return found


def _find(ref: ModelRef, named: NamedModel | None, registered: RegisteredFiles | None) -> Path:
    """The folder or file that is meant, whether or not it is there."""
    if named is not None:
        return _find_named(ref, named)
    if registered is not None:
        return registered.folder
    if ref.address == EMBEDDED:
        return Path(str(resources.files("mmer_ray") / "assets" / str(layout.KINDS[ref.kind].asset)))
    if ref.address.startswith(PACKAGE):
        return _find_in_package(ref)
    if ref.revision is not None:
        return hub_snapshot(ref.address, ref.revision)
    return Path(ref.address).expanduser()


def _find_in_package(ref: ModelRef) -> Path:
    """Look into an installed package without importing it: its code is not run."""
    name, *inside = ref.address.removeprefix(PACKAGE).split("/")
    if not name.isidentifier() or ".." in inside:
        raise UsageError(f"{ref.address}: a package's address is {PACKAGE}NAME/PATH, NAME as in `import NAME`")
    folders = package_folders(name)
    if not folders:
        raise _missing(ref, None, f"the package {name} is not installed")
    found = [folder.joinpath(*inside) for folder in folders]
    return next((path for path in found if path.exists()), found[0])


def _find_named(ref: ModelRef, model: NamedModel) -> Path:
    folder = folder_of(model)
    if folder is None:
        where = "; ".join(str(place) for place in model.places)
        raise MissingModelError(
            f"the {model.kind} model {model.name} is not on this machine (asked: model cache; {where}). "
            f"Remedies: {'; or '.join([*remedies(model), f'name a {_folder_like(ref.kind)}'])}"
        )
    return folder


def _checked_files(model: NamedModel, folder: Path) -> list[Path]:
    """The files of a model of the catalogue, each with the digest that it must have.

    What was converted here is held to the digests of that day.
    """
    expected: Mapping[str, str] = model.files if model.conversion is None else sums_of(folder)
    files = {name: folder / name for name in sorted(expected)}
    for name, file in files.items():
        found = file_sha256s([file])[0] if file.is_file() else "no file"
        if found != expected[name]:
            raise PreflightError(wrong_digest(model, str(file), found, expected[name]))
    return list(files.values())


def _what_lacks(kind: str, path: Path, lacking: list[str]) -> str:
    if not path.exists():
        return "it does not exist"
    if layout.holds_pickles_only(path):
        as_ = next((f" --as {name}" for name in names_of(kind) if CATALOGUE[name].conversion is not None), "")
        convert = f"`mmer models import FILE{as_} --into DIR`"
        return f"its weights are pickles, which may run code: convert them to safetensors ({convert}) and name DIR"
    return f"it has no {', no '.join(lacking)}"


def _check_weights(ref: ModelRef, files: list[Path]) -> None:
    """Compare the weights with the digest of the model's name, where it has one."""
    if ref.sha256 is None:
        return
    weights = [file for file in files if layout.matches(file, layout.WEIGHTS)]
    if len(weights) != 1:
        raise UsageError(f"{ref}: a digest names one file of weights; {len(weights)} are there, so leave it out")
    (found,) = file_sha256s(weights)
    if found != ref.sha256:
        raise PreflightError(
            f"{weights[0]} is not the {ref.kind} model that was asked for: "
            f"expected SHA-256 {ref.sha256}, found {found}; remove it and bring it again, or correct the digest"
        )


def _changed(ref: ModelRef, registered: RegisteredFiles, found: str) -> str:
    return (
        f"the registered model {ref.address} has changed since it was registered: expected SHA-256 "
        f"{registered.sha256}, found {found}. Remedies: restore {registered.folder} from a copy; or remove "
        f"{registered.folder.parent} and promote its run again"
    )


def _missing(ref: ModelRef, path: Path | None, why: str) -> MissingModelError:
    where = ref.address if path is None else str(path)
    return MissingModelError(f"no {ref.kind} model in {where}: {why}. {_remedies(ref)}")


def _remedies(ref: ModelRef) -> str:
    """Every way to come by a model of this kind, the way that its name asks for first."""
    needs = layout.KINDS[ref.kind]
    ways = [
        f"name a {_folder_like(ref.kind)}",
        f"install a package that brings one, `pip install NAME`, and name {PACKAGE}NAME/PATH",
        f"name OWNER/NAME@COMMIT of the hub and run {_fetch_command(ref, 'OWNER/NAME@COMMIT')}",
    ]
    if ref.kind == "emotion":
        ways.insert(0, "name a registered one, see `mmer models list`")
    if needs.asset is not None and ref.address != EMBEDDED:
        ways.insert(0, f"name {EMBEDDED!r}")
    if ref.address == EMBEDDED:
        ways.insert(0, "install mmer_ray again, its assets are missing, or run jobs/train_embedded.py")
    elif ref.address.startswith(PACKAGE):
        name = ref.address.removeprefix(PACKAGE).partition("/")[0]
        ways.insert(0, f"`pip install {name.replace('_', '-')}`")
    elif ref.revision is not None:
        ways.insert(0, f"run {_fetch_command(ref, str(ref))} where there is a network")
    return f"Remedies: {'; or '.join(ways)}"


def _folder_like(kind: str) -> str:
    return f"folder with {', '.join(' or '.join(patterns) for patterns in layout.KINDS[kind].files)}"


def _fetch_command(ref: ModelRef, name: str) -> str:
    needs = layout.KINDS[ref.kind]
    option = f"--set {needs.setting}={needs.prefix}{name}" if needs.setting else f"--text {name}"
    return f"`mmer models fetch {option}`"
