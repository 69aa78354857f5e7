"""What the final model of a run says of itself."""

from __future__ import annotations

from collections import Counter

from mmer_ray.training.evaluation.result import Evaluation, Measure
from mmer_ray.training.one_fold import FoldTask
from mmer_ray.training.run import Asked
from mmer_ray.training.utterances import Corpus


def card_of(asked: Asked, corpus: Corpus, evaluation: Evaluation, final: FoldTask, temperature: float) -> str:
    """Write the card: what it heard, and what models trained alike did on speakers that they had not heard."""
    how = "solved at once" if asked.architecture.is_head else f"{final.asked.recipe.num_epochs} epochs"
    counts = ", ".join(f"{label} {number}" for label, number in sorted(_counts(corpus).items()))
    num_speakers = len({one.speaker for one in corpus.utterances})
    architecture = asked.architecture
    lines = [
        f"# {architecture}, trained on {corpus.name}",
        "",
        f"- Trained on {len(corpus.utterances)} utterances of {num_speakers} speakers of `{corpus.name}` ({counts}),",
        f"  digest `{corpus.digest}`; {how}, seed {final.seed}.",
        *(f"- Stands on `{name}`, frozen." for name in architecture.names if name is not None),
        f"- Temperature on the folds' development sets: {temperature:.3f}; scoring divides the logits by it.",
        "",
        f"## Models trained alike on folds of the speakers ({asked.protocol}, seeds {_list(asked.seeds)})",
        "",
    ]
    if asked.oracle:
        lines += ["ORACLE: checkpoints were chosen on the test sets. These figures are too high.", ""]
    lines += [f"- {name}: {_with_interval(measure)}" for name, measure in evaluation.metrics.items()]
    lines += [
        "",
        "All of them about speakers of this corpus that their training had not heard. Other recordings may be harder.",
    ]
    return "\n".join(lines) + "\n"


def _counts(corpus: Corpus) -> Counter[str]:
    return Counter(one.label for one in corpus.utterances if one.label is not None)


def _list(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _with_interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} (95 %: {measure.low:.3f} to {measure.high:.3f})"
