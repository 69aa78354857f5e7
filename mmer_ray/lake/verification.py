"""Whether a lake is as it was written: every file, every commit, every key and every ledger. Nothing is changed.

    verification = Verification(lake)
    for finding in verification.findings():
        print(finding)

Files come first (`file_checks.py`). Rows are compared (`row_checks.py`) where the files are whole: what a damaged file
seems to say is no evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from tempfile import TemporaryDirectory

import duckdb

from mmer_ray.errors import LakeError
from mmer_ray.lake.file_checks import FROM_A_COPY, SWEEP, FileCounts, TableFiles, foreign_files
from mmer_ray.lake.finding import Finding
from mmer_ray.lake.rewrite import has_forgotten
from mmer_ray.lake.row_checks import row_findings
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_rows import committed, with_commits
from mmer_ray.lake.views import Spill, connect_internal
from mmer_ray.tables import DATA_TABLES, SCHEMAS

MEMORY_MB = 1_000
"""DuckDB's share; what does not fit goes to a temporary folder."""


class Verification:
    """One look at a lake that exists. A job that writes meanwhile may be seen half done."""

    def __init__(self, lake: Lake, *, quick: bool = False) -> None:
        """`quick`: the bytes of files are not read, only that they are there with their length and columns.

        Raises `LakeError` where there is no lake.
        """
        lake.require_existing()
        self._lake, self._quick = lake, quick
        self.counts = FileCounts()
        self.num_commits = 0
        self.num_damages = 0

    @property
    def is_whole(self) -> bool:
        return self.num_damages == 0

    def findings(self) -> Iterator[Finding]:
        """What was found, as it is found."""
        for finding in self._all():
            self.num_damages += finding.is_damage
            yield finding

    def _all(self) -> Iterator[Finding]:
        yield from foreign_files(self._lake)
        for name in SCHEMAS:
            yield from TableFiles(self._lake, name, self.counts, quick=self._quick).findings()
        if self.num_damages:
            what = "rows were not compared, since files are damaged"
            yield Finding("", "the lake", what, "mend the files and verify again", is_damage=False)
            return
        try:
            yield from self._rows()
        except LakeError as exc:
            yield Finding("", "the lake", str(exc), FROM_A_COPY)

    def _rows(self) -> Iterator[Finding]:
        with (
            TemporaryDirectory(prefix="mmer-verify-") as folder,
            connect_internal(self._lake, Spill(folder, MEMORY_MB), require_whole=False) as connection,
        ):
            commit_ids = {commit_id for (commit_id,) in connection.execute("SELECT commit_id FROM commits").fetchall()}
            self.num_commits = len(commit_ids)
            for name in DATA_TABLES:
                yield from self._torn(connection, name, commit_ids)
            ((num_erasures,),) = connection.execute("SELECT count(*) FROM internal.erasures").fetchall()
            is_complete = num_erasures == 0 and not has_forgotten(self._lake, "recordings")
            yield from row_findings(connection, is_complete=is_complete)

    def _torn(self, connection: duckdb.DuckDBPyConnection, name: str, commit_ids: Collection[str]) -> Iterator[Finding]:
        """Files of commits that were not finished: no reader sees them."""
        files = with_commits(connection, self._lake.files(name))
        finished = {file.path for file in committed(files, commit_ids)}
        torn = [file.path for file in files if file.path not in finished]
        if torn:
            place = torn[0].removeprefix(f"{self._lake.address}/")
            what = f"{len(torn)} files hold rows of commits that were not finished; no reader sees them"
            yield Finding(name, place, what, SWEEP, is_damage=False)
