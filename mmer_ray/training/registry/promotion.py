"""From a finished run to the active model of a registry, past the gate. Safe to do twice."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from mmer_ray.errors import UsageError
from mmer_ray.models.catalogue import CATALOGUE
from mmer_ray.models.emotion_checkpoints import family_in, read_json_config, scorer_name
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.refs import EMBEDDED
from mmer_ray.models.registered import NAME
from mmer_ray.training.registry.entry import RegisteredModel, file_digests
from mmer_ray.training.registry.gate import judge
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.run_folder import FinishedRun
from mmer_ray.training.registry.shared_data import Judged
from mmer_ray.training.registry.verdict import Gate, Verdict
from mmer_ray.versions import code_revision


@dataclass(frozen=True)
class Promotion:
    """What became of a run's model."""

    name: str
    """Its name in the registry, or the one that it would have."""
    scorer: str
    """`Emotion.scorer` of its answers in a lake."""
    verdict: Verdict
    is_new: bool
    """False: it was promoted before, and nothing was done."""
    active: str | None
    """The registry's active model, now."""

    @property
    def promoted(self) -> bool:
        """Whether it has passed the gate, now or before."""
        return self.verdict.passed


def promote(
    registry: Registry, run: FinishedRun, gate: Gate, name: str | None = None, *, dry_run: bool = False
) -> Promotion:
    """Judge a run's model; where it passes, register it and make it the active model.

    `name` is its `Emotion.scorer` unless given. With `dry_run` it is judged and nothing is written. Raises `UsageError`
    for a name that is taken or cannot be one, `PreflightError` where the registry or the model cannot be read, or the
    registry not written.
    """
    with nullcontext() if dry_run else registry.changing():
        known = registry.of_digest(run.model.sha256)
        if known is not None and name not in (None, known.name):
            raise UsageError(f"this model is registered already, as {known.name}: leave --name {name} out")
        if known is not None and known.name in {one.name for one in registry.activations()}:
            return Promotion(known.name, known.scorer, known.verdict, False, registry.active())
        scorer = scorer_name(run.model)
        chosen = known.name if known is not None else free_name(registry, scorer if name is None else name)
        before = registry.active()
        against = None if before is None else registry.judged(before)
        verdict = judge(Judged(chosen, run.evaluation, run.predictions), against, gate)
        if verdict.passed and not dry_run:
            # One that is known and never was active: its promotion was killed between the two.
            if known is None:
                registry.add(_entry(chosen, scorer, run, verdict), run)
            registry.activate(chosen)
        return Promotion(chosen, scorer, verdict, True, registry.active())


def free_name(registry: Registry, name: str) -> str:
    """The name, if a model may be registered under it. Raises `UsageError` where it cannot be one or is taken."""
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name}: a name has letters, digits, dots, dashes and underscores, such as calls-2026")
    if name in FAMILIES or name in CATALOGUE or name == EMBEDDED:
        raise UsageError(f"--name {name}: a family or another model is called so; choose another name")
    if name in registry.names():
        raise UsageError(f"--name {name}: another model is registered under this name; choose another one")
    return name


def _entry(name: str, scorer: str, run: FinishedRun, verdict: Verdict) -> RegisteredModel:
    return RegisteredModel(
        name=name,
        scorer=scorer,
        family=family_in(run.model.path),
        sha256=run.model.sha256,
        num_bytes=run.model.num_bytes,
        files=file_digests(run.model.path),
        config=read_json_config(run.model.path),
        registered_at=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=code_revision(),
        run=run.asked,
        data=run.data,
        folds=run.folds,
        metrics=run.evaluation.metrics,
        verdict=verdict,
    )
