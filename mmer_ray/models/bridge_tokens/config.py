"""Sizes of `bridge_tokens` as named, complete, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mmer_ray.errors import UsageError
from mmer_ray.models.pretrained_sizes import MINILM, WHISPER_TINY

FAMILY = "bridge_tokens"
LABELS = ("neutral", "happy", "sad", "angry")
"""Order of the published classifier (happy includes excited)."""
KvAlign = Literal["pad", "interp", "classic"]


@dataclass(frozen=True)
class BridgeTokensConfig:
    """Everything that a `bridge_tokens` checkpoint needs to be built again."""

    audio: Mapping[str, Any]
    """Of `encoders.build_audio_encoder`; its `hidden_size` is the width H of the whole model."""
    text: Mapping[str, Any] | None
    """Of `encoders.build_text_encoder`, of the same width; None: batches bring text features."""
    num_heads: int = 32
    """Attention heads of the two self-attentions and the two cross-attentions."""
    num_tokens: int = 30
    """Bridge tokens per cross-attention, L."""
    kv_align: KvAlign = "pad"
    """How keys of one modality meet values of the other. `pad`, as published: the shorter sequence gets zero rows up to
    the longer one's length, which count as values. `interp`: the shorter sequence is stretched to the longer one.
    `classic`: keys and values of the same modality."""
    dominance: bool = False
    """Predict dominance too: our extension, the published model has valence and arousal alone."""
    freeze_embeddings: bool = True
    """Keep what stands before both transformers' layers as it was pre-trained, as published. False where nothing was
    pre-trained."""
    labels: tuple[str, ...] = LABELS
    dropout: float = 0.1
    normalise: bool = True
    """Scale each utterance to zero mean and unit variance here; False: batches bring scaled samples."""
    encoder_name: str | None = None
    """A Whisper, named as in a profile, with `#sha256=` and its digest: it is frozen and the checkpoint leaves its
    weights out. None: the weights lie in the checkpoint."""
    text_name: str | None = None
    """The same of the text encoder."""

    def __post_init__(self) -> None:
        if self.kv_align not in get_args(KvAlign):
            raise UsageError(f"kv_align is {self.kv_align!r}; the valid ones are {', '.join(get_args(KvAlign))}")
        if self.text is not None and self.text["hidden_size"] != self.hidden_size:
            raise UsageError(f"text is {self.text['hidden_size']} wide, audio {self.hidden_size}: they must be alike")
        if self.hidden_size % self.num_heads:
            raise UsageError(f"{self.num_heads} heads do not divide a width of {self.hidden_size}")

    @property
    def hidden_size(self) -> int:
        return int(self.audio["hidden_size"])


# Both encoders leave no layer out at random: every parameter gets a gradient in every step, which training over
# several processes relies on.
LARGE = BridgeTokensConfig(
    audio={
        "model_type": "hubert",
        "hidden_size": 1_024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4_096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
        "apply_spec_augment": False,
        "layerdrop": 0.0,
    },
    text={
        "model_type": "deberta-v2",
        "hidden_size": 1_024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4_096,
        "vocab_size": 128_100,
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 256,
        "position_biased_input": False,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
    },
)
"""As published: hubert-large and deberta-v3-large."""

TINY = BridgeTokensConfig(
    audio={
        "model_type": "hubert",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "feat_extract_norm": "group",
        "conv_dim": [32, 64, 64, 64],
        "conv_kernel": [64, 8, 4, 4],
        "conv_stride": [16, 5, 4, 2],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "apply_spec_augment": False,
        "layerdrop": 0.0,
    },
    text={
        "model_type": "deberta-v2",
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 300,
        "max_position_embeddings": 130,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 32,
        "position_biased_input": False,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
    },
    num_heads=4,
    kv_align="interp",
    dominance=True,
    freeze_embeddings=False,
)
"""For tests and for training from fresh weights on little data: 25 frames a second straight from samples. The group
norm, since one over each frame takes away how loud it is; `interp`, since `pad` hears no more frames than the text has
tokens."""

WHISPER_TINY_SIZE = BridgeTokensConfig(audio=WHISPER_TINY, text=MINILM, num_heads=6, kv_align="interp")
"""On the encoders that the package brings: `named_parts.on_pretrained` with `tiny.en` and `minilm`."""

SIZES: Mapping[str, BridgeTokensConfig] = {"tiny": TINY, "large": LARGE, "whisper-tiny": WHISPER_TINY_SIZE}
