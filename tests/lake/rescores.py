"""Lakes that real profiles made, and rescores of them without a model: answers follow from bytes and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.rescoring import RescorePlan, Rescoring, plan_rescore
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import Recording
from mmer_ray.stages.keys import keys_of
from tests.lake.makers import answer, failed, plan_of, taken

PROFILE = load_profile("synthetic")
WIDE = load_profile("synthetic", ["diarize.max_speakers=19"])
"""A profile that hears otherwise."""


def score(lake: Lake, recordings: Sequence[Recording], profile: Profile = PROFILE) -> None:
    """Score recordings with a profile, as its run records it."""
    do(lake, plan_of(recordings, lake, keys_of(profile)), profile)


def rescore(lake: Lake, wanted: Rescoring, failing: Mapping[str, ErrorCode] | None = None) -> RescorePlan:
    """Plan a rescore and do it."""
    planned = plan_rescore(lake, wanted)
    for portion in planned.portions:
        do(lake, portion.plan, portion.profile, failing)
    return planned


def do(lake: Lake, plan: Plan, profile: Profile, failing: Mapping[str, ErrorCode] | None = None) -> Ledger:
    """Do what a plan says, `failing` (file name -> code) in vain."""
    with Writer(lake, begin_run(profile, plan.keys), plan) as writer:
        for task in plan.tasks(lake, plan.todo):
            code = (failing or {}).get(Path(task.recording.uri).name)
            writer.add(taken(failed(task.recording, code) if code else answer(task, plan.keys), keys=plan.keys))
        return writer.finish()
