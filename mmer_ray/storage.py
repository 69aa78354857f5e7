"""From what the user names (files, folders, `s3://` prefixes, manifests) to the recordings of a job.

A local recording's uri is its absolute path, links not resolved; a name that is not UTF-8 becomes a `file://` URL
with its bytes percent-encoded. Nothing is opened here: what is no readable audio is listed all the same and
becomes a failed row, so that it does not disappear.
"""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH120, PTH122, SIM905

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mmer_ray.buckets import RemoteObject, find_object, list_objects
from mmer_ray.errors import SourceError
from mmer_ray.manifests import MANIFEST_EXTENSIONS, ManifestRow, read_manifest, utc_day
from mmer_ray.records import Recording
from mmer_ray.uris import is_remote, local_path, local_uri

NOT_AUDIO_EXTENSIONS = frozenset(
    "rttm txt json jsonl csv tsv md srt vtt xml pdf png jpg jpeg gif svg webp bmp tif tiff py ipynb sh parquet arrow "
    "html htm css js yaml yml toml ini cfg log lab textgrid ctm stm uem trs eaf doc docx xls xlsx ppt pptx zip gz tgz "
    "bz2 xz zst tar 7z npy npz pt pth safetensors pkl h5 hdf5 db sqlite duckdb sha256 md5 crc sql tex bib".split()
)
"""Files of a folder that are not tried. All others are, with or without an extension."""
AUDIO_FOLDER_EXTENSIONS = frozenset("wav wave flac mp3 ogg oga opus m4a mp4 aac webm amr aif aiff caf au wma".split())
"""An empty folder named like this is a recording that went wrong, and is reported as one."""
HIDDEN, LINKED_FOLDER = "(hidden)", "(linked folder)"


@dataclass(frozen=True, slots=True)
class SourceListing:
    """What the sources hold."""

    recordings: tuple[Recording, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Extension (or `(hidden)`, `(linked folder)`) -> files that were not tried."""
    duplicates: tuple[str, ...] = ()
    """Uris that came a second time in this job; the first one stands."""


def list_sources(sources: Sequence[str], corpus: str) -> SourceListing:
    """All recordings of the sources, in their order, each folder sorted by path.

    Raises `SourceError` for a source that is not there or a manifest that cannot be read.
    """
    left_out: dict[str, int] = {}
    by_uri: dict[str, Recording] = {}
    duplicates = []
    for source in sources:
        for recording in _list_source(source, corpus, left_out):
            if recording.uri in by_uri:
                duplicates.append(recording.uri)
            else:
                by_uri[recording.uri] = recording
    return SourceListing(tuple(by_uri.values()), dict(sorted(left_out.items())), tuple(duplicates))


def _list_source(source: str, corpus: str, left_out: dict[str, int]) -> Iterable[Recording]:
    if is_remote(source):
        return _remote_recordings(source, corpus, left_out)
    try:
        path = os.path.abspath(local_path(source))
    except ValueError as exc:
        raise SourceError(f"source {source!r} is no file name: {exc}") from exc
    if not os.path.lexists(path):
        raise SourceError(f"source {source!r} does not exist; name a file, a folder, a manifest or an s3:// prefix")
    if os.path.isdir(path):
        return _folder_recordings(path, corpus, left_out)
    if _extension(path) in MANIFEST_EXTENSIONS:
        return _manifest_recordings(path, corpus)
    return [_recording(path, local_uri(os.path.dirname(path)), corpus)]


def _folder_recordings(folder: bytes, corpus: str, left_out: dict[str, int]) -> Iterator[Recording]:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SourceError(f"folder {os.fsdecode(folder)!r} may not be listed; check its permissions")
    root = local_uri(folder)
    found = sorted(_walk(folder, left_out), key=lambda entry: entry.path)
    return (_recording(entry.path, root, corpus, _status(entry)) for entry in found)


def _walk(folder: bytes, left_out: dict[str, int]) -> Iterator[os.DirEntry[bytes]]:
    """Entries below a folder that are tried as recordings."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                extension = _extension(entry.name)
                if entry.name.startswith(b"."):
                    reason = HIDDEN
                elif entry.is_dir(follow_symlinks=False):
                    if extension not in AUDIO_FOLDER_EXTENSIONS or _holds_entries(entry.path):
                        pending.append(entry.path)
                        continue
                    reason = None
                elif extension not in AUDIO_FOLDER_EXTENSIONS and entry.is_symlink() and os.path.isdir(entry.path):
                    # Following it could leave the root or never end.
                    reason = LINKED_FOLDER
                else:
                    reason = extension if extension in NOT_AUDIO_EXTENSIONS else None
                if reason is None:
                    yield entry
                else:
                    left_out[reason] = left_out.get(reason, 0) + 1


def _holds_entries(folder: bytes) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _status(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _manifest_recordings(path: bytes, corpus: str) -> Iterator[Recording]:
    folder = os.path.dirname(path)
    for row in read_manifest(os.fsdecode(path)):
        if is_remote(row.uri):
            yield _with_row(_remote_recording(find_object(row.uri), row.uri.rpartition("/")[0] + "/", corpus), row)
            continue
        try:
            named = local_path(row.uri)
            is_absolute = named.startswith(b"/")
            # What leaves the folder by this is listed and refused when it is opened: a row, not the end of the job.
            located = os.path.abspath(named if is_absolute else os.path.join(folder, named))
        except ValueError as exc:
            raise SourceError(f"{os.fsdecode(path)} row {row.number}: {row.uri[:80]!r} is no file name") from exc
        root = os.path.dirname(located) if is_absolute else folder
        yield _with_row(_recording(located, local_uri(root), corpus), row)


def _with_row(recording: Recording, row: ManifestRow) -> Recording:
    day = utc_day(row.recorded_at) if row.recorded_at else recording.day
    return replace(recording, day=day, metadata=row.metadata)


def _recording(path: bytes, root: str, corpus: str, status: os.stat_result | None = None) -> Recording:
    recording = Recording(uri=local_uri(path), corpus=corpus, root=root)
    try:
        status = status or os.stat(path)
    except (OSError, ValueError):
        # Whatever is wrong with it is said when it is opened.
        return recording
    day = utc_day(datetime.fromtimestamp(status.st_mtime, UTC))
    return replace(recording, size_bytes=status.st_size, modified=str(status.st_mtime_ns), day=day)


def _remote_recordings(prefix: str, corpus: str, left_out: dict[str, int]) -> Iterator[Recording]:
    for remote in list_objects(prefix):
        name = remote.uri.rpartition("/")[2].encode()
        extension = HIDDEN if name.startswith(b".") else _extension(name)
        if extension == HIDDEN or extension in NOT_AUDIO_EXTENSIONS:
            left_out[extension] = left_out.get(extension, 0) + 1
        else:
            root = prefix if prefix.endswith("/") else prefix.rpartition("/")[0] + "/"
            yield _remote_recording(remote, root, corpus)


def _remote_recording(remote: RemoteObject, root: str, corpus: str) -> Recording:
    recording = Recording(uri=remote.uri, corpus=corpus, root=root)
    if not remote.exists:
        return recording
    day = utc_day(remote.modified_at) if remote.modified_at else recording.day
    return replace(recording, size_bytes=remote.size_bytes, modified=remote.etag, day=day)


def _extension(name: bytes) -> str:
    return os.path.splitext(os.path.basename(name))[1][1:].decode("ascii", "replace").lower()
