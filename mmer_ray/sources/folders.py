"""The files of a folder that are tried as recordings, sorted by path, and a count of those that are not."""

# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH112, PTH116, PTH122, SIM905

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from mmer_ray.errors import SourceError
from mmer_ray.sources.days import day_of_mtime
from mmer_ray.sources.listing import LeftOut, ListedFile
from mmer_ray.sources.roots import Roots
from mmer_ray.sources.uris import local_uri

NOT_AUDIO_EXTENSIONS = frozenset(
    # text, tables, pages, pictures, code, archives, data
    "txt json jsonl csv tsv md pdf rtf doc docx xls xlsx ppt pptx odt ods tex bib xml html htm css js yaml yml toml "
    "png jpg jpeg gif svg webp bmp tif tiff ico py ipynb sh bat parquet arrow zip gz tgz bz2 xz zst tar 7z rar "
    "npy npz pt pth safetensors pkl h5 hdf5 db sqlite duckdb sql sha256 sha1 md5 crc sfv "
    # transcripts, annotations, subtitles
    "rttm srt vtt ass ssa sbv ttml lab textgrid ctm stm uem trs eaf cha phn wrd sph_txt nfo "
    # playlists, links, settings, logs, peaks of audio editors
    "m3u m3u8 pls cue xspf lnk url webloc desktop ini cfg log pk peak peaks reapeaks asd sfk "
    # unfinished or put aside
    "part partial crdownload download tmp temp bak old swp lock lease".split()
)
"""Files of a folder that are not tried. All others are, with or without an extension."""
AUDIO_FOLDER_EXTENSIONS = frozenset("wav wave flac mp3 ogg oga opus m4a mp4 aac webm amr aif aiff caf au wma".split())
"""An empty folder named like this is a recording that went wrong, and is reported as one."""
HIDDEN, LINKED_FOLDER = "(hidden)", "(linked folder)"
UNREADABLE_FOLDER, LAKE = "(unreadable folder)", "(lake)"
LAKE_CARD = b"lake.json"
"""The file by which a folder is known as a lake (`lake/store.py`): what is in it is no source."""


class FolderWalk:
    """One pass over a folder. Depth first, so that what is held is the names of the folders on the way down."""

    def __init__(self, folder: bytes, roots: Roots, left_out: LeftOut) -> None:
        self._folder, self._roots, self._left_out = folder, roots, left_out
        self._followed: dict[bytes, str] = {}
        """Linked folders that are followed, by their path -> root."""
        self._followed_targets: set[bytes] = set()

    def files(self) -> Iterator[ListedFile]:
        """The files, in the order of their paths' bytes. Raises `SourceError` for a folder that may not be listed; one
        that cannot be read for another reason is counted."""
        top = self._folder.rstrip(b"/") + b"/"
        pending = [(top, self._roots.home_uri, iter(self._names(top)))]
        while pending:
            folder, root, names = pending[-1]
            name = next(names, None)
            if name is None:
                pending.pop()
            elif name.endswith(b"/"):
                path = folder + name
                pending.append((path, self._followed.pop(path, root), iter(self._names(path))))
            else:
                yield self._file(folder + name, root)

    def _file(self, path: bytes, root: str) -> ListedFile:
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                root = self._roots.root_of(path, is_link=True)
                status = os.stat(path)
        except OSError:
            # Whatever is wrong with it is said when it is opened.
            return ListedFile(local_uri(path), root)
        mtime_ns = status.st_mtime_ns
        return ListedFile(local_uri(path), root, status.st_size, str(mtime_ns), day_of_mtime(mtime_ns))

    def _names(self, folder: bytes) -> list[bytes]:
        """Sorted names in a folder that are to be looked at; those of folders end with a slash.

        With the slash, sorting each folder gives the order of whole paths.
        """
        names: list[bytes] = []
        skipped: list[tuple[str, bytes]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name == LAKE_CARD:
                        self._left_out.add(LAKE, local_uri(folder))
                        return []
                    name, reason = self._sorted_out(entry)
                    if reason is None:
                        names.append(name)
                    else:
                        skipped.append((reason, name))
        except PermissionError as exc:
            raise SourceError(
                f"folder {os.fsdecode(folder)!r} may not be listed, and what it holds would be passed over; "
                "make it readable for this user, or name the folders beside it as sources"
            ) from exc
        except OSError:
            # It went away, or its disk has a fault: the others are listed all the same.
            self._left_out.add(UNREADABLE_FOLDER, local_uri(folder))
        for reason, name in skipped:
            self._left_out.add(reason, local_uri(folder + name))
        return sorted(names)

    def _sorted_out(self, entry: os.DirEntry[bytes]) -> tuple[bytes, str | None]:
        """The entry's name, and why it is left out."""
        name, file_extension = entry.name, extension(entry.name)
        if name.startswith(b"."):
            return name, HIDDEN
        if _is_folder(entry):
            is_recording = file_extension in AUDIO_FOLDER_EXTENSIONS and not _holds_entries(entry.path)
            return (name, None) if is_recording else (name + b"/", None)
        if file_extension not in AUDIO_FOLDER_EXTENSIONS and entry.is_symlink() and os.path.isdir(entry.path):
            return (name + b"/", None) if self._follows(entry.path) else (name, LINKED_FOLDER)
        return name, file_extension if file_extension in NOT_AUDIO_EXTENSIONS else None

    def _follows(self, link: bytes) -> bool:
        """Whether a linked folder is walked: it lies in a root that the user named, and was not walked before."""
        target = os.path.realpath(link)
        root = self._roots.root_of_linked_folder(target)
        if root is None or target in self._followed_targets:
            return False
        self._followed_targets.add(target)
        self._followed[link + b"/"] = root
        return True


def extension(name: bytes) -> str:
    """The ending of a file's name in lower case, without the dot."""
    return os.path.splitext(name)[1][1:].decode("ascii", "replace").lower()


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        # Some file systems must ask for the kind, and may refuse; opening it will tell.
        return False


def _holds_entries(folder: bytes) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        # Walked like any other, it is counted as unreadable.
        return True
