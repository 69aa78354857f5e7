"""Trains the embedded `mmer`: the transcriber's backbone, a small RoBERTa, and the published fusion and losses.

Two departures from the published recipe, both for a training of minutes: the category term counts in both views, and
CTC is averaged over the batch instead of summed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.models.category import category_loss
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.losses import ctc_loss, pad_targets
from mmer_ray.models.ctc.model import CtcModel
from mmer_ray.models.ctc.vocabulary import SYMBOLS, to_symbols
from mmer_ray.models.encoders import MAX_TOKENS
from mmer_ray.models.interface import EmotionBatch, Targets, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.models.mmer import checkpoint, losses
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.training.embedded_mmer_data import Example, Examples
from mmer_ray.training.embedded_mmer_report import report
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import WARM_UP_SHARE
from mmer_ray.training.sittings import Log, Sittings
from mmer_ray.training.synthetic import read_manifest

STATES_NAME = "mmer_states"
# RoBERTa counts positions from behind its padding index, 1.
POSITION_OFFSET = 2


@dataclass(frozen=True)
class MmerRecipe:
    """How the embedded `mmer` is made."""

    minutes: float = 15.0
    """Training time, over all sittings."""
    num_audio_layers: int = 2
    """Lowest layers of the transcriber's backbone that are taken over: those above know words, not voices."""
    num_text_layers: int = 2
    num_heads: int = 4
    inner_size: int = 256
    """Inner width of text layers and fusion blocks."""
    vocab_size: int = 800
    batch_size: int = 16
    batches_per_chunk: int = 6
    """Batches are cut from so many at once, sorted by length, so that little is padding."""
    peak_rate: float = 5e-4
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    bfloat16: bool = True
    """Matrix work in bfloat16, as for the transcriber."""
    keep_every_s: float = 60.0
    seed: int = 7
    num_threads: int = 1

    def for_learner(self) -> Recipe:
        """What of it concerns a step."""
        return Recipe(
            peak_rate=self.peak_rate,
            warm_up_share=WARM_UP_SHARE,
            weight_decay=self.weight_decay,
            max_gradient_norm=self.max_gradient_norm,
            average_decay=None,
            precision="bfloat16" if self.bfloat16 else "float32",
            seed=self.seed,
        )


@dataclass(frozen=True)
class TrainingBatch:
    """Two views of the same utterances and their truth."""

    clean: EmotionBatch
    augmented: EmotionBatch
    labels: Tensor
    """Int64, shape (B,)."""
    targets: Tensor
    """Int64, shape (B, L): symbols of what is said, padded with `ctc.losses.TARGET_PADDING`."""


def train_mmer(cache: Path, ctc_folder: Path, target: Path, recipe: MmerRecipe, log: Log) -> None:
    """Train for the recipe's minutes, write the checkpoint to `target`, weights as float16, and measure it.

    `cache` holds the synthetic set; an interrupted run goes on from `cache/mmer_states`.
    """
    torch.set_num_threads(recipe.num_threads)
    torch.manual_seed(recipe.seed)
    utterances = read_manifest(cache, "train")
    tokenizer = train_tokenizer((utterance.text for utterance in utterances), recipe.vocab_size)
    model = build(ctc_checkpoint.load(ctc_folder), tokenizer, recipe)
    learner: Learner[TrainingBatch] = Learner(model, terms_of, recipe.for_learner(), backward_of)
    sittings = Sittings(learner, recipe.minutes, cache / STATES_NAME, "mmer")
    first_chunk = learner.num_steps // recipe.batches_per_chunk
    batches = _Batches(Examples(cache, utterances, recipe.seed), tokenizer, recipe, first_chunk)
    loader = DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=8)
    sittings.train(iter(loader), recipe.keep_every_s / 60, lambda: "", log)
    checkpoint.save(target, model, tokenizer, torch.float16)
    log(f"final, on unseen voices and sentences: {report(checkpoint.load(target), cache)}")


def build(ctc: CtcModel, tokenizer: PreTrainedTokenizerBase, recipe: MmerRecipe) -> MmerModel:
    """Make an untrained `mmer` of the transcriber's width, its backbone and CTC head taken from there."""
    hidden_size = ctc.config.hidden_size
    audio = ctc.backbone.config.to_diff_dict()
    audio |= {"num_hidden_layers": recipe.num_audio_layers, "apply_spec_augment": False}
    audio.pop("transformers_version")
    text = {
        "hidden_size": hidden_size,
        "num_hidden_layers": recipe.num_text_layers,
        "num_attention_heads": recipe.num_heads,
        "intermediate_size": recipe.inner_size,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": MAX_TOKENS + POSITION_OFFSET,
        "type_vocab_size": 1,
    }
    config = MmerConfig(audio, text, recipe.num_heads, recipe.inner_size, labels=FEELINGS, ctc_symbols=SYMBOLS)
    model = MmerModel(config)
    taken = {name: value for name, value in ctc.backbone.state_dict().items() if name in model.audio.state_dict()}
    model.audio.load_state_dict(taken)
    model.ctc_head.load_state_dict(ctc.head.state_dict())
    return model


def terms_of(model: MmerModel, batch: TrainingBatch) -> dict[str, Tensor]:
    """Run both views: the terms of the loss, "loss", their sum, and "right", the share of the clean view's answers."""
    clean, augmented = model(batch.clean), model(batch.augmented, view="augmented")
    clean_vectors, augmented_vectors = clean.contrast.float(), augmented.contrast.float()
    both_views = torch.cat([clean.logits, augmented.logits]).float()
    terms = losses.LossTerms(
        category=category_loss(both_views, Targets(batch.labels.repeat(2))),
        ctc=ctc_loss(clean.ctc_logits, clean.num_frames, batch.targets).mean(),
        supervised=losses.supervised_contrast(clean_vectors, batch.labels),
        augmentation=losses.augmentation_contrast(clean_vectors, augmented_vectors),
    )
    right = (clean.logits.argmax(dim=1) == batch.labels).float().mean()
    return {**vars(terms), "loss": terms.total(), "right": right}


class _Batches(IterableDataset[TrainingBatch]):
    """Batches without end, from chunk `first_chunk` on."""

    def __init__(
        self, examples: Examples, tokenizer: PreTrainedTokenizerBase, recipe: MmerRecipe, first_chunk: int
    ) -> None:
        self._examples = examples
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._chunk = first_chunk

    def __iter__(self) -> Iterator[TrainingBatch]:
        size, num_batches = self._recipe.batch_size, self._recipe.batches_per_chunk
        while True:
            first = self._chunk * size * num_batches
            drawn = [self._examples.draw(index) for index in range(first, first + size * num_batches)]
            drawn.sort(key=lambda example: len(example.clean.samples))
            for place in range(num_batches):
                yield collate_examples(drawn[place * size : (place + 1) * size], self._tokenizer)
            self._chunk += 1


def collate_examples(examples: list[Example], tokenizer: PreTrainedTokenizerBase) -> TrainingBatch:
    """Pad both views and the spelling of what is said."""
    return TrainingBatch(
        clean=collate([example.clean for example in examples], tokenizer),
        augmented=collate([example.augmented for example in examples], tokenizer),
        labels=torch.tensor([example.label for example in examples]),
        targets=pad_targets([to_symbols(example.text) for example in examples]),
    )
