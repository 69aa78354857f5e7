"""Our MMER against tensors computed by the published code.

The folder in MMER_PARITY_DIR (by default ../shared/parity/mmer_official beside the checkout) holds weights, inputs and
outputs; the sizes come from its golden.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mmer_ray.models.category import category_loss
from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.interface import EmotionBatch, EmotionOutput, Targets
from mmer_ray.models.mmer import losses
from mmer_ray.models.mmer import model as mmer_model
from mmer_ray.models.mmer.checkpoint import our_name, our_weights
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.tensors import fill

DEFAULT_FOLDER = Path(__file__).parents[3] / "shared" / "parity" / "mmer_official"
FOLDER = Path(os.environ.get("MMER_PARITY_DIR", DEFAULT_FOLDER))

pytestmark = pytest.mark.skipif(
    not (FOLDER / "golden.json").is_file(), reason=f"no golden tensors in {FOLDER}: set MMER_PARITY_DIR to their folder"
)
Tensors = dict[str, Tensor]

# Published name of an intermediate -> the module of ours whose output it is.
MODULE_OUTPUTS = {
    "w2v.conv_features": "audio.feature_extractor",
    "w2v.feature_projection": "audio.feature_projection",
    "w2v.pos_conv": "audio.encoder.pos_conv_embed",
    "w2v.hidden.0": "audio.encoder.dropout",
    "text_self": "text_reads_itself",
    "audio_proj_for_text_query": "audio_to_source",
    "audio_proj_as_query": "audio_to_query",
    "text_attends_audio": "text_asks_audio",
    "audio_attends_text": "audio_asks_text",
    "text_attends_audio_attends_text": "text_asks_answer",
    "gate": "gate",
    "pooled_fused_down": "fused_to_hidden",
}


@dataclass(frozen=True)
class Golden:
    facts: dict[str, Any]
    inputs: Tensors

    def batch(self, view: str, dtype: torch.dtype) -> EmotionBatch:
        prefix = "aug_" if view == "augmented" else ""
        return EmotionBatch(
            samples=self.inputs[f"{prefix}audio"].to(dtype),
            num_samples=self.inputs[f"{prefix}audio_len"],
            text_mask=self.inputs[f"{prefix}text_mask"].bool(),
            text_features=self.inputs[f"{prefix}text"].to(dtype),
        )

    def model(self, *, masked: bool = False) -> MmerModel:
        fusion = self.facts["fusion_config"]
        config = MmerConfig(
            audio=self.facts["wav2vec2_config"],
            text=None,
            num_heads=fusion["num_attention_heads"],
            intermediate_size=fusion["intermediate_size"],
            labels=tuple(self.facts["classes"]),
            ctc_symbols=tuple(self.facts["ctc"]["vocab"]),
            normalise=False,
            masked=masked,
        )
        model, file = MmerModel(config), FOLDER / "state_dict.safetensors"
        fill(model, our_weights(load_file(file)), file)
        return model.eval()


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden(json.loads((FOLDER / "golden.json").read_text()), load_file(FOLDER / "inputs.safetensors"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def observe(model: MmerModel, batch: EmotionBatch, view: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensors, Any]:
    """Run one view; return every intermediate under its published name, and the output."""
    seen: Tensors = {}
    layers = {f"w2v.hidden.{i + 1}": f"audio.encoder.layers.{i}" for i in range(len(model.audio.encoder.layers))}
    handles = [
        model.get_submodule(path).register_forward_hook(_remember(seen, name))
        for name, path in (MODULE_OUTPUTS | layers).items()
    ]
    pools: list[tuple[Tensor, Tensor, Tensor]] = []
    pool = mmer_model.max_pool

    def pool_and_tell(hidden: Tensor, mask: Tensor) -> Tensor:
        pools.append((hidden, mask, pool(hidden, mask)))
        return pools[-1][2]

    with monkeypatch.context() as patch:
        patch.setattr(mmer_model, "max_pool", pool_and_tell)
        output = model(batch, view=view)
    for handle in handles:
        handle.remove()
    (_, frame_mask, pooled_audio), (fused, _, pooled_fused) = pools
    seen["w2v.conv_features"] = seen["w2v.conv_features"].transpose(1, 2)
    seen["gate"] = seen["gate"].sigmoid()
    seen |= {"fused_sequence": fused, "gated": fused[..., model.config.hidden_size :], "frame_mask": frame_mask.float()}
    seen |= {"pooled_audio": pooled_audio, "pooled_fused": pooled_fused, "joint": output.joint}
    seen |= {"frame_lengths": output.num_frames, "emotion_logits": output.logits, "ctc_logits": output.ctc_logits}
    return seen, output


def _remember(seen: Tensors, name: str) -> Any:
    def hook(_module: nn.Module, _arguments: Any, output: Any) -> None:
        seen[name] = output[0] if isinstance(output, tuple) else output

    return hook


def run_both_views(golden: Golden, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> Tensors:
    """Every tensor of the golden outputs, computed by our model and losses."""
    model = golden.model().to(dtype)
    everything: Tensors = {}
    outputs: dict[str, EmotionOutput] = {}
    for prefix, view in (("orig", "clean"), ("aug", "augmented")):
        seen, outputs[view] = observe(model, golden.batch(view, dtype), view, monkeypatch)
        everything |= {f"{prefix}/{name}": value for name, value in seen.items()}
    labels = golden.inputs["label"]
    clean, augmented = present(outputs["clean"].contrast), present(outputs["augmented"].contrast)
    terms = loss_terms(golden, outputs["clean"], outputs["augmented"])
    everything |= {
        "contrast/orig_embed": clean,
        "contrast/aug_embed": augmented,
        "contrast/self_logprob_over_temp": (clean @ clean.T).log_softmax(1) / losses.TEMPERATURE,
        "contrast/self_positive_index": (labels[:, None] == labels[None, :]).flatten().nonzero().flatten(),
        "contrast/infonce_logits": clean @ augmented.T / losses.TEMPERATURE,
        "loss/ctc_per_utterance": ctc_each(golden, outputs["clean"]),
        "loss/cls": terms.category,
        "loss/ctc": terms.ctc,
        "loss/supcon": terms.supervised,
        "loss/infonce": terms.augmentation,
        "loss/total_lambda0.1": terms.total(),
    }
    return everything


def present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def ctc_each(golden: Golden, output: EmotionOutput) -> Tensor:
    logits, num_frames = present(output.ctc_logits), present(output.num_frames)
    return ctc_loss(logits, num_frames, golden.inputs["ctc_targets"])


def loss_terms(golden: Golden, clean: EmotionOutput, augmented: EmotionOutput) -> losses.LossTerms:
    clean_vectors, augmented_vectors = present(clean.contrast), present(augmented.contrast)
    return losses.LossTerms(
        category=category_loss(clean.logits, Targets(golden.inputs["label"])),
        ctc=ctc_each(golden, clean).sum(),
        supervised=losses.supervised_contrast(clean_vectors, golden.inputs["label"]),
        augmentation=losses.augmentation_contrast(clean_vectors, augmented_vectors),
    )


def assert_near(ours: Tensor, theirs: Tensor, name: str, *, rtol: float, atol: float) -> None:
    torch.testing.assert_close(
        ours.to(theirs.dtype), theirs, rtol=rtol, atol=atol, msg=lambda message: f"{name}: {message}"
    )


def test_every_tensor_equals_the_published_one_in_float32(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load_file(FOLDER / "outputs.safetensors")
    with torch.inference_mode():
        ours = run_both_views(golden, torch.float32, monkeypatch)
    # Checked by a test of its own, which needs other batches.
    del expected["orig/emotion_logits_each_utterance_alone"]
    assert expected.keys() <= ours.keys()
    for name, theirs in expected.items():
        assert_near(ours[name], theirs, name, rtol=1e-5 if name.startswith("loss/") else 1e-4, atol=1e-5)


def test_the_float64_tensors_agree_to_nine_digits(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.inference_mode():
        ours = run_both_views(golden, torch.float64, monkeypatch)
    for name, theirs in load_file(FOLDER / "outputs_float64.safetensors").items():
        assert_near(ours[name], theirs, name, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("masked", [True, False])
def test_utterances_alone_give_the_published_logits_of_utterances_alone(golden: Golden, masked: bool) -> None:
    expected = load_file(FOLDER / "outputs.safetensors")["orig/emotion_logits_each_utterance_alone"]
    model, batch = golden.model(masked=masked), golden.batch("clean", torch.float32)
    for row in range(len(expected)):
        with torch.inference_mode():
            logits = model(one_row(batch, row)).logits[0]
        assert_near(logits, expected[row], f"utterance {row}", rtol=1e-4, atol=1e-5)


def test_masked_batches_give_each_utterance_what_it_has_alone(golden: Golden) -> None:
    expected = load_file(FOLDER / "outputs.safetensors")["orig/emotion_logits_each_utterance_alone"]
    with torch.inference_mode():
        logits = golden.model(masked=True)(golden.batch("clean", torch.float32)).logits
    assert_near(logits, expected, "masked batch", rtol=1e-4, atol=1e-5)


def one_row(batch: EmotionBatch, row: int) -> EmotionBatch:
    num_samples, num_tokens = int(batch.num_samples[row]), int(batch.text_mask[row].sum())
    assert batch.text_features is not None
    rows = slice(row, row + 1)
    return EmotionBatch(
        batch.samples[rows, :num_samples],
        batch.num_samples[rows],
        batch.text_mask[rows, :num_tokens],
        text_features=batch.text_features[rows, :num_tokens],
    )


def test_gradients_equal_the_published_ones(golden: Golden) -> None:
    model = golden.model()
    clean = model(golden.batch("clean", torch.float32))
    augmented = model(golden.batch("augmented", torch.float32), view="augmented")
    loss_terms(golden, clean, augmented).total().backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    for published, norm in golden.facts["grad_norm"].items():
        ours = grads.pop(our_name(published))
        if norm is None:
            assert ours is None, published
        elif published in golden.facts["zero_grad_in_exact_arithmetic"]:
            assert present(ours).norm() < 1e-4, published
        else:
            assert float(present(ours).norm()) == pytest.approx(norm, rel=1e-4), published
    assert not grads
    named = dict(model.named_parameters())
    for published, theirs in load_file(FOLDER / "grads.safetensors").items():
        assert_near(present(named[our_name(published)].grad), theirs, published, rtol=1e-3, atol=1e-4)


def test_one_adamw_step_gives_the_published_loss(golden: Golden) -> None:
    facts = golden.facts["total_after_one_adamw_step"]
    model = golden.model()
    settings = {key: facts[key] for key in ("lr", "eps", "weight_decay")}
    optimiser = torch.optim.AdamW(model.parameters(), betas=tuple(facts["betas"]), **settings)

    def total() -> Tensor:
        views = [model(golden.batch(view, torch.float32), view=view) for view in ("clean", "augmented")]
        return loss_terms(golden, *views).total()

    total().backward()
    optimiser.step()
    with torch.inference_mode():
        assert float(total()) == pytest.approx(facts["loss"], rel=1e-4)
