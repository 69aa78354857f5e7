"""How a model is trained, as one complete, frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mmer_ray.errors import UsageError
from mmer_ray.training.augment import UNCHANGED, Variation
from mmer_ray.training.ranges import FROM_ONE, FROM_ZERO, SHARE, SHARE_BELOW_ONE, Range, check_ranges

GradientMode = Literal["accumulated", "cached"]
Precision = Literal["auto", "float32", "bfloat16"]
Sampling = Literal["balanced", "natural"]
Selection = Literal["last", "best"]
Contrast = Literal["official", "textbook"]
RANGES = {
    "num_epochs": FROM_ONE,
    "batch_size": FROM_ONE,
    "micro_batch_size": FROM_ONE,
    # In a step, AdamW moves a weight by about the rate.
    "peak_rate": Range(0, 1, has_low=False, has_high=False),
    "warm_up_share": SHARE_BELOW_ONE,
    "final_share": SHARE,
    "betas": SHARE_BELOW_ONE,
    "weight_decay": SHARE_BELOW_ONE,
    "max_gradient_norm": FROM_ZERO,
    "average_decay": SHARE_BELOW_ONE,
    "epochs_between_checks": FROM_ONE,
    "steps_between_states": FROM_ONE,
    "num_kept": FROM_ONE,
    "seed": FROM_ZERO,
}
"""Key of a recipe -> its values."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The defaults train a small model on a few hundred utterances.

    Raises `UsageError` for a value outside its range (`RANGES`) and for micro-batches that do not fill a batch.
    """

    num_epochs: int = 40
    """An epoch has as many steps as it takes to draw as many utterances as there are."""
    batch_size: int = 16
    """Utterances of a step, those of all workers together: what the loss compares and averages over."""
    micro_batch_size: int | None = None
    """Utterances that go through the model at once; None: all that a worker has of a step."""
    mode: GradientMode = "cached"
    """What the loss of a step sees. `cached`: its whole batch; several micro-batches cost a second forward pass
    (`cached_gradient`), and workers share them, so that a step does not depend on how many workers there are.
    `accumulated`: each micro-batch for itself, and the mean of the losses counts; workers share each of them."""
    peak_rate: float = 2e-3
    """Learning rate after the warm-up."""
    warm_up_share: float = 0.1
    """Share of the training in which the learning rate rises."""
    final_share: float = 0.01
    """The last learning rate, as a share of the peak."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's (Loshchilov and Hutter, ICLR 2019)."""
    weight_decay: float = 0.05
    max_gradient_norm: float = 1.0
    """Gradients are scaled down to this norm; 0: they are left as they are."""
    average_decay: float | None = 0.99
    """Of the running average of the weights, per step; None: there is no average."""
    precision: Precision = "auto"
    """Of matrix work: `auto` is bfloat16 on a GPU that has it, else float32."""
    sampling: Sampling = "balanced"
    """`balanced` draws every class alike, `natural` as often as it occurs."""
    class_weights: bool = False
    """Whether the category term weighs each class by the inverse of its share of the training set; together with
    balanced sampling, rare classes would count twice."""
    soft_labels: bool = False
    """Whether the category term is given the raters' shares where the corpus has them."""
    two_views: bool = False
    """Whether the loss sees each utterance in two variations, the second as the augmented view of the first."""
    reads_spelling: bool = False
    """Whether the loss is given the transcript, for families with a CTC term."""
    contrast: Contrast = "official"
    """Of `mmer`: its contrastive terms as in the published code, or by the formulas of the literature, with CTC
    averaged over the batch instead of summed (`models.mmer.losses`)."""
    modality_masking: bool = False
    """Whether some epochs do without the sound or without the words (`bridge_tokens.masking`)."""
    variation: Variation = UNCHANGED
    selection: Selection = "last"
    """Which weights come out: the `last`, or those of the check that did `best` on the development set."""
    epochs_between_checks: int = 5
    """Development utterances are asked after so many epochs, and after the last one."""
    steps_between_states: int | None = None
    """States for going on are also written after so many steps; None: at the end of each epoch alone."""
    num_kept: int = 1
    """Checkpoints of the best checks that are kept beside the latest."""
    seed: int = 0
    """Everything random follows from it and from the number of the step."""

    def __post_init__(self) -> None:
        check_ranges(self, "recipe", RANGES)
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise UsageError(
                f"recipe: batches of {self.batch_size} cannot be cut into micro-batches of {self.micro_batch_size}: "
                "choose a micro_batch_size that divides batch_size"
            )

    def as_json(self) -> dict[str, Any]:
        """The recipe as a table that JSON can hold."""
        return asdict(self)

    def parts(self, worker: int, num_workers: int) -> list[slice]:
        """The rows of a step's batch that are a worker's micro-batches. Raises `UsageError` where workers cannot
        have equally many.

        >>> Recipe(batch_size=8, micro_batch_size=2).parts(worker=1, num_workers=2)
        [slice(2, 4, None), slice(6, 8, None)]
        >>> Recipe(batch_size=8, micro_batch_size=4, mode="accumulated").parts(worker=1, num_workers=2)
        [slice(2, 4, None), slice(6, 8, None)]
        """
        if self.mode == "cached":
            size = self.micro_batch_size or _shared(self.batch_size, num_workers)
            _shared(self.batch_size // size, num_workers)
            first, step = worker * size, num_workers * size
        else:
            step = self.micro_batch_size or self.batch_size
            size = _shared(step, num_workers)
            first = worker * size
        return [slice(start, start + size) for start in range(first, self.batch_size, step)]


def _shared(number: int, num_workers: int) -> int:
    if number % num_workers:
        raise UsageError(
            f"recipe: {num_workers} workers cannot share {number} alike: choose a batch_size and a micro_batch_size "
            f"whose quotient (mode cached), or a micro_batch_size that (mode accumulated) {num_workers} divides"
        )
    return number // num_workers
