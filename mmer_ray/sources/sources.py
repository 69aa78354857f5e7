"""From what the user names (files, folders, `s3://` prefixes, manifests) to the recordings of a job.

A local recording's uri is its absolute path, links not resolved; a name that is not UTF-8 becomes a `file://` URL
with its bytes percent-encoded. Nothing is opened here: what is no readable audio is listed all the same and
becomes a failed row, so that it does not disappear.

A manifest's rows may name files below the manifest's own folder and below the roots that the user names; a row that
leads elsewhere is listed, and fails with `outside_root`. A local file is always asked for its size and time, whatever
the manifest says. An object in a bucket is not, where the manifest has its `size_bytes` and `etag`: asking takes
thousands of times longer. If they are wrong, a changed object is taken for known until the manifest says otherwise.
"""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH100, PTH112, PTH116, PTH120

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, groupby, islice

import pyarrow as pa

from mmer_ray.errors import SourceError
from mmer_ray.records import GUESSED_BYTES_PER_S
from mmer_ray.sources.buckets import RemoteObject, describe_objects, list_objects
from mmer_ray.sources.corpora import MAX_CORPUS_BYTES, is_corpus
from mmer_ray.sources.days import NO_DAY, day_of_mtime
from mmer_ray.sources.folders import HIDDEN, LAKE, NOT_AUDIO_EXTENSIONS, FolderWalk, extension
from mmer_ray.sources.listing import MAX_BATCH_ROWS, LeftOut, ListedFile, SourceListing, listed_batch
from mmer_ray.sources.manifests import MANIFEST_EXTENSIONS, ManifestPart, read_manifest
from mmer_ray.sources.metadata import SURROGATES
from mmer_ray.sources.roots import NamedRoots, Roots
from mmer_ray.sources.uris import SUPPORTED, is_remote, local_path, local_uri, spellings, unsupported_scheme

MAX_GUESS_MS = (1 << 31) - 1


class _Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    MANIFEST = auto()
    PREFIX = auto()


@dataclass(frozen=True, slots=True)
class _Source:
    kind: _Kind
    path: bytes
    """Absolute path; the address of a prefix."""


def list_sources(sources: Sequence[str], corpus: str, roots: Sequence[str] = ()) -> SourceListing:
    """The recordings of the sources, in the order of the sources, each folder sorted by path.

    `roots` are folders and `s3://` prefixes that manifests and links may lead to, besides the source's own folder.
    Raises `SourceError` for a source or root that is not there and for a corpus that cannot be one; what is wrong
    inside a manifest or a bucket comes up while the listing's batches are read.
    """
    if not is_corpus(corpus):
        raise SourceError(
            f"corpus {corpus!r} cannot name a folder of the lake; "
            f"give a name of 1 to {MAX_CORPUS_BYTES} bytes (--corpus NAME)"
        )
    named = NamedRoots(roots)
    found = [_source(source) for source in sources]
    return SourceListing(lambda left_out: _batches(found, corpus, named, left_out))


def _source(source: str) -> _Source:
    if not source.strip():
        raise SourceError("a source is empty; name a file, a folder, a manifest or an s3:// prefix")
    if scheme := unsupported_scheme(source):
        raise SourceError(f"source {source!r}: {scheme} is not supported; a source may be one of {SUPPORTED}")
    if is_remote(source):
        if SURROGATES.search(source):
            raise SourceError(f"source {source!r} is no address of a store: it is not valid UTF-8")
        if extension(source.encode()) in MANIFEST_EXTENSIONS:
            raise SourceError(f"source {source!r}: a manifest is read from a local file; copy it here first")
        return _Source(_Kind.PREFIX, source.encode())
    path = _absolute(source)
    if not os.path.lexists(path):
        raise SourceError(f"source {source!r} does not exist; name a file, a folder, a manifest or an s3:// prefix")
    if os.path.isdir(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise SourceError(f"folder {source!r} may not be listed; check its permissions")
        return _Source(_Kind.FOLDER, path)
    return _Source(_Kind.MANIFEST if extension(path) in MANIFEST_EXTENSIONS else _Kind.FILE, path)


def _absolute(source: str) -> bytes:
    try:
        path = os.path.abspath(local_path(source))
    except FileNotFoundError as exc:
        raise SourceError(
            f"source {source!r}: the working directory is gone; change to one that is there, or give absolute paths"
        ) from exc
    except ValueError as exc:
        raise SourceError(f"source {source!r} is no file name: {exc}") from exc
    return path


def _batches(sources: Iterable[_Source], corpus: str, named: NamedRoots, left_out: LeftOut) -> Iterator[pa.RecordBatch]:
    for is_manifest, group in groupby(sources, key=lambda source: source.kind is _Kind.MANIFEST):
        if is_manifest:
            for source in group:
                yield from _manifest_batches(source.path, corpus, named)
        else:
            files = chain.from_iterable(_files(source, named, left_out) for source in group)
            while batch := list(islice(files, MAX_BATCH_ROWS)):
                yield listed_batch(batch, corpus)


def _files(source: _Source, named: NamedRoots, left_out: LeftOut) -> Iterator[ListedFile]:
    if source.kind is _Kind.PREFIX:
        return _objects(source.path.decode(), left_out)
    if source.kind is _Kind.FOLDER:
        return FolderWalk(source.path, Roots(source.path, named), left_out).files()
    folder = os.path.dirname(source.path)
    return iter([_described(source.path, _status(source.path), Roots(folder, named))])


def _manifest_batches(path: bytes, corpus: str, named: NamedRoots) -> Iterator[pa.RecordBatch]:
    folder = os.path.dirname(path)
    roots = Roots(folder, named)
    for part in read_manifest(path):
        if part.row_bytes is not None:
            files = _rows(_described(path, _status(path), roots), part, part.row_bytes)
            yield listed_batch(files, [name or corpus for name in part.corpora], part.metadata)
            continue
        files = []
        remote: list[int] = []
        for index, (uri, day) in enumerate(zip(part.uris, part.days, strict=True)):
            if is_remote(address := uri.strip()):
                remote.append(index)
                files.append(ListedFile(address, _remote_root(address, named), day=NO_DAY if day is None else day))
            else:
                files.append(_described(*_named_path(path, part.first_number + index, uri, folder), roots, day))
        _ask_store(part, files, remote)
        yield listed_batch(files, [name or corpus for name in part.corpora], part.metadata)


def _rows(file: ListedFile, part: ManifestPart, row_bytes: Sequence[int]) -> list[ListedFile]:
    """The recordings of a Parquet file that holds them: its place and mark are theirs.

    Their lengths are guesses, the same for all rows of a row group, so that a job takes them in the file's order: to
    read a header, or rows here and there, is to read the row group.
    """
    guesses_ms = [min(num_bytes * 1000 // GUESSED_BYTES_PER_S, MAX_GUESS_MS) for num_bytes in row_bytes]
    return [
        ListedFile(uri, file.root, num_bytes, file.modified, file.day if day is None else day, guess_ms)
        for uri, num_bytes, day, guess_ms in zip(part.uris, row_bytes, part.days, guesses_ms, strict=True)
    ]


def _ask_store(part: ManifestPart, files: list[ListedFile], remote: Sequence[int]) -> None:
    """Fill in sizes and marks of the rows in buckets: the manifest's own where it has both, else the store's."""
    unknown = []
    for index in remote:
        if facts := part.object_facts[index]:
            files[index] = files[index]._replace(size_bytes=facts[0], modified=facts[1])
        else:
            unknown.append(index)
    described = describe_objects([files[index].uri for index in unknown])
    for index, found in zip(unknown, described, strict=True):
        files[index] = _remote_file(found, files[index].root, part.days[index])


def _named_path(manifest: bytes, number: int, uri: str, folder: bytes) -> tuple[bytes, os.stat_result | None]:
    """The path that a row names, and its status; one that is not there is looked for under its other spellings."""
    try:
        path = _joined(folder, local_path(uri))
        if status := _status(path):
            return path, status
        for spelling in spellings(uri)[1:]:
            other = _joined(folder, local_path(spelling))
            if status := _status(other):
                return other, status
    except ValueError as exc:
        raise SourceError(f"manifest {os.fsdecode(manifest)} row {number}: {uri[:80]!r} is no file name") from exc
    return path, None


def _joined(folder: bytes, name: bytes) -> bytes:
    path = name if name.startswith(b"/") else b"%b/%b" % (folder, name)
    # Most names are in order, and a manifest may have millions.
    return os.path.normpath(path) if b"/." in path or b"//" in path or path.endswith(b"/") else path


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        # Whatever is wrong with it is said when it is opened.
        return None


def _described(path: bytes, status: os.stat_result | None, roots: Roots, day: int | None = None) -> ListedFile:
    """The row of a file from what `lstat` said, on `day` if that is known."""
    uri, root = local_uri(path), roots.home_uri
    try:
        is_link = status is not None and stat.S_ISLNK(status.st_mode)
        root = roots.root_of(path, is_link)
        status = os.stat(path) if is_link else status
    except (OSError, ValueError):
        status = None
    if status is None:
        return ListedFile(uri, root, day=NO_DAY if day is None else day)
    mtime_ns = status.st_mtime_ns
    return ListedFile(uri, root, status.st_size, str(mtime_ns), day_of_mtime(mtime_ns) if day is None else day)


def _objects(prefix: str, left_out: LeftOut) -> Iterator[ListedFile]:
    folder = prefix if prefix.endswith("/") else f"{prefix}/"
    for found in list_objects(prefix):
        name = found.uri.rpartition("/")[2].encode("utf-8", "replace")
        reason: str | None = extension(name)
        if "/_delta_log/" in found.uri:
            reason = LAKE
        elif name.startswith(b"."):
            reason = HIDDEN
        elif reason not in NOT_AUDIO_EXTENSIONS or found.uri == prefix:
            reason = None
        if reason is None:
            yield _remote_file(found, prefix.rpartition("/")[0] + "/" if found.uri == prefix else folder)
        else:
            left_out.add(reason, found.uri)


def _remote_file(found: RemoteObject, root: str, day: int | None = None) -> ListedFile:
    if day is None:
        day = NO_DAY if found.modified_at is None else day_of_mtime(int(found.modified_at.timestamp()) * 10**9)
    if not found.exists:
        return ListedFile(found.uri, root, day=day)
    return ListedFile(found.uri, root, found.size_bytes, found.etag, day)


def _remote_root(uri: str, named: NamedRoots) -> str:
    """The named prefix that an object lies in; credentials say what may be read where the user names no prefix."""
    if not named.prefixes:
        return uri.rpartition("/")[0] + "/"
    return next((prefix for prefix in named.prefixes if uri.startswith(prefix)), named.prefixes[0])
