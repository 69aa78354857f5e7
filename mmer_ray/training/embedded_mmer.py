"""Trains the embedded `mmer`: the transcriber's backbone, a small RoBERTa, and the published fusion and losses.

Two departures from the published recipe, both for a training of minutes: the category term counts in both views, and
CTC is averaged over the batch instead of summed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerBase

from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.model import CtcModel
from mmer_ray.models.ctc.vocabulary import SYMBOLS, to_symbols
from mmer_ray.models.encoders import MAX_TOKENS
from mmer_ray.models.interface import EmotionBatch, EmotionOutput, collate
from mmer_ray.models.mmer import checkpoint, losses
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.training.embedded_mmer_data import Example, Examples
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.synthetic import read_manifest

log = logging.getLogger(__name__)

STATE_NAME = "mmer_state.pt"
# RoBERTa counts positions from behind its padding index, 1.
POSITION_OFFSET = 2
LOG_EVERY_STEPS = 50


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
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    num_warmup_steps: int = 100
    max_gradient_norm: float = 1.0
    save_every_s: float = 60.0
    seed: int = 7


@dataclass(frozen=True)
class TrainingBatch:
    """Two views of the same utterances and their truth."""

    clean: EmotionBatch
    augmented: EmotionBatch
    labels: Tensor
    """Int64, shape (B,)."""
    targets: Tensor
    """Int64, shape (B, L): symbols of what is said, padded with `losses.TARGET_PADDING`."""


def train(cache: Path, ctc_folder: Path, out_folder: Path, recipe: MmerRecipe) -> MmerModel:
    """Train for the recipe's minutes and write the checkpoint folder, weights as float16.

    `cache` holds the synthetic set; an interrupted training goes on from the state that lies there too.
    """
    torch.manual_seed(recipe.seed)
    utterances = read_manifest(cache, "train")
    tokenizer = train_tokenizer((utterance.text for utterance in utterances), recipe.vocab_size)
    model = build(ctc_checkpoint.load(ctc_folder), tokenizer, recipe)
    examples = Examples(cache, utterances, recipe.seed)
    _fit(model, examples, tokenizer, cache / STATE_NAME, recipe)
    checkpoint.save(out_folder, model, tokenizer, torch.float16)
    return model.eval()


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


def loss_of(model: MmerModel, batch: TrainingBatch) -> tuple[losses.LossTerms, EmotionOutput]:
    """Run both views; return the terms and the clean view's output."""
    clean, augmented = model(batch.clean), model(batch.augmented, view="augmented")
    terms = losses.LossTerms(
        category=losses.category_loss(
            torch.cat([clean.logits, augmented.logits]), torch.cat([batch.labels, batch.labels])
        ),
        ctc=losses.ctc_loss(clean.ctc_logits, clean.num_frames, batch.targets).mean(),
        supervised=losses.supervised_contrast(clean.contrast, batch.labels),
        augmentation=losses.augmentation_contrast(clean.contrast, augmented.contrast),
    )
    return terms, clean


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
    spelled = [torch.tensor(to_symbols(example.text), dtype=torch.int64) for example in examples]
    return TrainingBatch(
        clean=collate([example.clean for example in examples], tokenizer),
        augmented=collate([example.augmented for example in examples], tokenizer),
        labels=torch.tensor([example.label for example in examples]),
        targets=torch.nn.utils.rnn.pad_sequence(spelled, batch_first=True, padding_value=losses.TARGET_PADDING),
    )


def _fit(
    model: MmerModel, examples: Examples, tokenizer: PreTrainedTokenizerBase, state_file: Path, recipe: MmerRecipe
) -> None:
    optimiser = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    step, spent_s = _resume(model, optimiser, state_file)
    batches = _Batches(examples, tokenizer, recipe, step // recipe.batches_per_chunk)
    loader = iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=8))
    started_s = saved_s = time.monotonic()
    model.train()
    while (elapsed_s := spent_s + time.monotonic() - started_s) < recipe.minutes * 60:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, elapsed_s)
        terms, clean, labels = take_step(model, optimiser, next(loader), recipe)
        step += 1
        if step % LOG_EVERY_STEPS == 0:
            log.info("%.0f s, step %d: %s", elapsed_s, step, _describe(terms, clean, labels))
        if time.monotonic() - saved_s > recipe.save_every_s:
            _save_state(model, optimiser, state_file, step, elapsed_s)
            saved_s = time.monotonic()
    _save_state(model, optimiser, state_file, step, elapsed_s)


def take_step(
    model: MmerModel, optimiser: torch.optim.Optimizer, batch: TrainingBatch, recipe: MmerRecipe
) -> tuple[losses.LossTerms, EmotionOutput, Tensor]:
    """Lower the loss on one batch; return its terms, the clean view's output and the labels."""
    terms, clean = loss_of(model, batch)
    optimiser.zero_grad()
    torch.autograd.backward(terms.total())
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
    optimiser.step()
    return terms, clean, batch.labels


def learning_rate(recipe: MmerRecipe, step: int, elapsed_s: float) -> float:
    """Rise over the first steps, then fall along a cosine to zero at the end of the time."""
    share = min(elapsed_s / (recipe.minutes * 60), 1.0)
    return recipe.learning_rate * min((step + 1) / recipe.num_warmup_steps, 1.0) * (1 + math.cos(math.pi * share)) / 2


def _resume(model: MmerModel, optimiser: torch.optim.Optimizer, state_file: Path) -> tuple[int, float]:
    """Take up an earlier sitting; return its steps and seconds."""
    if not state_file.exists():
        return 0, 0.0
    state: Mapping[str, Any] = torch.load(state_file, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["elapsed_s"]


def _save_state(
    model: MmerModel, optimiser: torch.optim.Optimizer, state_file: Path, step: int, elapsed_s: float
) -> None:
    unfinished = state_file.with_suffix(".part")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "elapsed_s": elapsed_s}
    torch.save(state, unfinished)
    unfinished.replace(state_file)


def _describe(terms: losses.LossTerms, clean: EmotionOutput, labels: Tensor) -> str:
    hits = float((clean.logits.argmax(dim=1) == labels).float().mean())
    parts = {name: round(value.item(), 3) for name, value in vars(terms).items()}
    return f"{parts}, right {hits:.2f}"
