"""One job: what it is called and everything that decides its results."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mmer_ray.lake.batch import Batch
from mmer_ray.profiles import Profile
from mmer_ray.tables import Row
from mmer_ray.versions import code_revision, package_versions

if TYPE_CHECKING:
    from mmer_ray.stages.keys import Keys


@dataclass(frozen=True, slots=True)
class Run:
    """A job as the table `runs` keeps it. Runs sort by time of start."""

    run_id: str
    started_at: datetime
    keys: Keys
    profile: str = ""
    options: str = "{}"
    """The whole profile as JSON."""
    model_digests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str | None = None


def begin_run(profile: Profile, keys: Keys, model_digests: Mapping[str, str] | None = None) -> Run:
    """A run that starts now, with the versions of this process. Nothing is written."""
    now = datetime.now(UTC)
    return Run(
        run_id=new_run_id(now),
        started_at=now,
        keys=keys,
        profile=profile.name,
        options=profile.model_dump_json(),
        model_digests=dict(model_digests or {}),
        versions=package_versions(),
        git_revision=code_revision(),
    )


def new_run_id(now: datetime) -> str:
    """Sortable by time; the tail keeps two hosts that start within a second apart."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def run_row(run: Run) -> Row:
    """What `runs` keeps of a run from its start."""
    row: Row = {name: getattr(run, name) for name in ("run_id", "started_at", "profile", "options", "git_revision")}
    keys = asdict(run.keys) | {"channel_roles": json.dumps(run.keys.channel_roles)}
    maps = {"versions": run.versions, "model_digests": run.model_digests, "keys": keys}
    return row | {name: sorted(values.items()) for name, values in maps.items()}


def commit_row(batch: Batch, run_id: str, scorer: str | None) -> Row:
    """The row of `commits` that makes a commit's rows visible."""
    return {
        "sequence": batch.sequence,
        "commit_id": batch.commit_id,
        "run_id": run_id,
        "committed_at": datetime.now(UTC),
        "scorer": scorer,
        **{f"num_{name}": table.num_rows for name, table in batch.tables.items()},
    }
