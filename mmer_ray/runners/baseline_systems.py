"""The baselines of a report: every one that can be had on a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.training.clips import load_clip
from mmer_ray.training.emotion_recipes import DEFAULT_ENCODER
from mmer_ray.training.evaluation import baselines
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.utterances import Split

Note = Callable[[str], None]


def baselines_on(splits: Sequence[Split], labels: Sequence[str], note: Note) -> dict[str, OtherSystem]:
    """Train them on the same folds; `note` is told of what cannot be had, such as words where there are none."""

    def probe() -> OtherSystem:
        from mmer_ray.training.evaluation.encoder_vectors import vectors_of

        name = DEFAULT_ENCODER.partition("#")[0]
        return baselines.encoder_probe(splits, labels, load_clip, vectors_of(), name)

    made: dict[str, Callable[[], OtherSystem]] = {
        "majority": lambda: baselines.majority(splits, labels),
        "transcript look-up": lambda: baselines.transcript_look_up(splits, labels),
        "TF-IDF": lambda: baselines.words_alone(splits, labels),
        "acoustic SVM": lambda: baselines.acoustic_statistics(splits, labels, load_clip),
        "frozen-encoder probe": probe,
    }
    found = {}
    for name, make in made.items():
        try:
            found[name] = make()
        except (UsageError, PreflightError) as exc:
            note(f"without the baseline {name}: {exc}")
    return found
