"""What a model must reach before it is promoted: a floor, and to be no worse than the active one on the same data.

"No worse" is a test of non-inferiority: the lower end of the 95 % interval of the paired difference must not lie below
minus the margin. So a model is refused, too, where the data are too few to tell it from a worse one. Both models answer
about the same utterances, each by folds that had not heard their speakers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmer_ray.errors import UsageError
from mmer_ray.training.registry.shared_data import Judged, SharedData, shared_data, why_not_comparable
from mmer_ray.training.registry.verdict import Gate, Paired, Verdict
from mmer_ray.training.utterances import Corpus

GATE_NAME = "gate.toml"


def read_gate(file: Path, changes: Mapping[str, float | str | None]) -> Gate:
    """Read a declared gate; what a command line gives, not None, stands in place of the file's values.

    Raises `UsageError` where nobody has declared a floor, and for a key or a value that cannot be meant.
    """
    try:
        declared = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        declared = {}
    except (OSError, ValueError) as exc:
        raise UsageError(f"{file} cannot be read: {exc}") from exc
    asked: dict[str, Any] = declared | {key: value for key, value in changes.items() if value is not None}
    if unknown := sorted(asked.keys() - Gate.__dataclass_fields__.keys()):
        raise UsageError(f"{file} has unknown keys {unknown}; valid are: {', '.join(Gate.__dataclass_fields__)}")
    if "floor" not in asked:
        raise UsageError(f'no gate is declared: add --floor 0.6, or write "floor = 0.6" into {file}')
    try:
        return Gate(**asked)
    except TypeError as exc:
        raise UsageError(f"{file}: floor and margin are numbers, metric is a name: {asked}") from exc


def judge(new: Judged, active: Judged | None, gate: Gate) -> Verdict:
    """Measure a new model against the floor and, where there is one, against the active model."""
    measure = new.evaluation.metrics.get(gate.metric)
    reasons = []
    if new.evaluation.oracle:
        reasons.append("its epochs or settings were chosen on the test data (oracle): such figures prove nothing")
    if measure is None:
        reasons.append(f"its evaluation has no {gate.metric}")
    elif measure.value < gate.floor:
        reasons.append(f"{gate.metric} {measure.value:.3f} lies below the floor of {gate.floor:.3f}")
    paired = None
    if active is not None:
        shared = shared_data(new, active)
        obstacles = why_not_comparable(new, active, shared)
        if gate.metric not in active.evaluation.metrics:
            obstacles.append(f"the evaluation of the active model {active.name} has no {gate.metric}")
        paired = None if obstacles or measure is None else _paired(shared, new, gate.metric, active.name)
        reasons += obstacles if paired is None else _worse(paired, gate)
    return Verdict(gate, None if measure is None else measure.value, paired, tuple(reasons))


def _paired(shared: SharedData, new: Judged, metric: str, active: str) -> Paired:
    # Here: whoever only reads what a gate found waits for no torch.
    from mmer_ray.training.evaluation.comparison import OtherSystem
    from mmer_ray.training.evaluation.evaluate import Conditions, evaluate

    known = new.evaluation
    corpus = Corpus(known.corpus, (), known.labels, known.corpus_digest)
    conditions = Conditions(known.protocol, known.text, cluster=known.cluster)
    found = evaluate(shared.new, new.name, corpus, conditions, others={active: OtherSystem(shared.active)})
    (other,) = found.compared
    return Paired(
        active,
        found.metrics[metric].value,
        other.metrics[metric].value,
        other.differences[metric],
        shared.num_utterances,
        shared.num_speakers,
        found.notes,
    )


def _worse(paired: Paired, gate: Gate) -> list[str]:
    low = paired.difference.low
    if low is None:
        return [f"{gate.metric} {paired}: an interval needs two speakers at least"]
    if low < -gate.margin:
        return [f"{gate.metric} {paired}: the interval must not reach below {-gate.margin:+.3f}"]
    return []
