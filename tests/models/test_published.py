"""Published MMER checkpoints, made into folders of ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mmer_ray.errors import UsageError
from mmer_ray.models.encoders import build_text_encoder
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.interface import EmotionModel
from mmer_ray.models.mmer import checkpoint
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.mmer_v1.config import MmerV1Config
from mmer_ray.models.mmer_v1.model import MmerV1Model
from mmer_ray.models.published import import_published, write_import
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import resolve
from mmer_ray.training.embedded_text import train_tokenizer

SMALL = MmerConfig(
    audio={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "conv_dim": [16, 16, 16, 16, 16, 16, 16],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "apply_spec_augment": False,
    },
    text={
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 300,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
    },
    num_heads=4,
    intermediate_size=64,
)
"""wav2vec2's seven convolutions, all else small."""
SMALL_V1 = MmerV1Config(SMALL.audio, SMALL.text, SMALL.num_heads, SMALL.intermediate_size)
HEADS = SMALL.num_heads


def published_name(ours: str) -> str:
    """The authors' name of one of our weights, in the spelling of their days."""
    old = ours.replace("conv.parametrizations.weight.original0", "conv.weight_g")
    old = old.replace("conv.parametrizations.weight.original1", "conv.weight_v")
    for theirs, mine in checkpoint.PUBLISHED_PREFIXES.items():
        if old.startswith(mine):
            return theirs + old.removeprefix(mine)
    raise AssertionError(ours)


def final_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {published_name(name): value for name, value in MmerModel(replace(SMALL, text=None)).state_dict().items()}


def first_version_weights() -> dict[str, Tensor]:
    """As v1 wrote them: no prefix, a bare classifier, and a block that nothing uses."""
    torch.manual_seed(0)
    model = MmerV1Model(replace(SMALL_V1, text=None))
    names = {name: published_name(name).removeprefix("model_mmi.") for name in model.state_dict()}
    weights = {names[name].replace("classifier.linear3", "classifier"): w for name, w in model.state_dict().items()}
    return weights | {"self_attention.layer.0.output.dense.weight": torch.zeros(4, 4)}


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roberta")
    assert SMALL.text is not None
    tokenizer: PreTrainedTokenizerBase = train_tokenizer(["so good to hear from you"], vocab_size=300)
    build_text_encoder(SMALL.text).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("weights", "family"), [(final_weights, "mmer"), (first_version_weights, "mmer_v1")])
def test_either_version_becomes_a_folder_that_scores(
    weights: object, family: str, prefix: str, text_folder: Path, tmp_path: Path
) -> None:
    assert callable(weights)
    file, source = tmp_path / "1_model.pt", resolve(ModelRef("text_encoder", str(text_folder)))
    table = {prefix + name: value for name, value in weights().items()}
    torch.save({"state_dict": table}, file)
    imported = import_published(file, source, HEADS)
    write_import(tmp_path / "ours", imported, file, source)
    loaded, tokenizer = load_emotion_model(tmp_path / "ours")
    assert (loaded.family, imported.num_tensors, loaded.labels) == (family, len(table), SMALL.labels)
    assert tokenizer is not None
    assert_same_weights(loaded, imported.model)
    assert imported.file_digest in (tmp_path / "ours" / "MODEL_CARD.md").read_text()


def assert_same_weights(first: EmotionModel, second: EmotionModel) -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_sizes_follow_from_the_shapes(tmp_path: Path) -> None:
    save_file(final_weights(), tmp_path / "model.safetensors")
    config = import_published(tmp_path / "model.safetensors", num_heads=HEADS).model.config
    assert (config.hidden_size, config.intermediate_size, config.num_heads) == (32, 64, HEADS)
    for key in ("num_hidden_layers", "intermediate_size", "conv_dim", "num_conv_pos_embeddings"):
        assert config.audio[key] == SMALL.audio[key], key


def test_a_width_that_is_no_multiple_of_64_needs_the_number_of_heads(tmp_path: Path) -> None:
    save_file(final_weights(), tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="give --heads"):
        import_published(tmp_path / "model.safetensors")


def test_a_text_encoder_of_another_width_is_refused(tmp_path: Path) -> None:
    save_file(final_weights(), tmp_path / "model.safetensors")
    assert SMALL.text is not None
    build_text_encoder({**SMALL.text, "hidden_size": 48}).save_pretrained(tmp_path / "wide")
    train_tokenizer(["hello"], vocab_size=300).save_pretrained(tmp_path / "wide")
    encoder = resolve(ModelRef("text_encoder", str(tmp_path / "wide")))
    with pytest.raises(UsageError, match="width 48; this checkpoint was trained with features of width 32"):
        import_published(tmp_path / "model.safetensors", encoder, HEADS)


@dataclass
class Planted:
    """What an attacker would put into a pickle."""

    trace: Path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    torch.save({"state_dict": {"gate.weight": Planted(tmp_path / "trace")}}, tmp_path / "evil.pt")
    with pytest.raises(UsageError, match="no file of tensors alone"):
        import_published(tmp_path / "evil.pt")
    assert not (tmp_path / "trace").exists()


def test_the_audio_only_baselines_are_refused_by_what_they_lack(tmp_path: Path) -> None:
    save_file({"classifier.weight": torch.zeros(4, 32)}, tmp_path / "baseline.safetensors")
    with pytest.raises(UsageError, match="audio-only baselines"):
        import_published(tmp_path / "baseline.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_bytes(content)
    with pytest.raises(UsageError, match=r"odd\.pt"):
        import_published(tmp_path / "odd.pt")
