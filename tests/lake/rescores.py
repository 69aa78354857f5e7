"""Lakes that real profiles made, and rescores of them without a model: answers follow from bytes and keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
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


def do(
    lake: Lake,
    plan: Plan,
    profile: Profile,
    failing: Mapping[str, ErrorCode] | None = None,
    replaced: Collection[str] = (),
) -> Ledger:
    """Do what a plan says, `failing` (file name -> code) in vain. Files in `replaced` turn out to have other bytes."""
    with Writer(lake, begin_run(profile, plan.keys), plan) as writer:
        for task in plan.tasks(lake, plan.todo):
            name = Path(task.recording.uri).name
            one = failed(task.recording, failing[name]) if failing and name in failing else answer(task, plan.keys)
            if name in replaced:
                assert one.audio is not None
                one = replace(one, audio=replace(one.audio, content_digest="ab" * 16))
            writer.add(taken(one, keys=plan.keys))
        return writer.finish()
