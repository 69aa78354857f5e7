"""What an utterance means among its neighbours: a GRU with self-attention per modality, a transformer over both.

Shape letters: B utterances, D dialogues, L utterances of the longest, E width of an utterance's embedding, H width of
one direction of a GRU, K classes, X width of the transformer, J = 2X.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mmer_ray.models.leaf_transformer.config import LeafTransformerConfig

NUM_GRU_LAYERS = 2
NORM_EPS = 1e-12
"""Of BERT's layers, which the published transformer is built of."""


@dataclass(frozen=True)
class Dialogues:
    """Where each utterance of a flat batch stands when every dialogue has a row."""

    rows: Tensor
    """Int64, shape (B,): its dialogue, counted from 0 in order of appearance."""
    places: Tensor
    """Int64, shape (B,): its place in the dialogue."""
    mask: Tensor
    """Bool, shape (D, L): where an utterance stands."""

    def spread(self, flat_BE: Tensor) -> Tensor:
        """Give every dialogue a row, zeros at the end: shape (D, L, E)."""
        rows_DLE = flat_BE.new_zeros(*self.mask.shape, flat_BE.shape[1])
        return rows_DLE.index_put((self.rows, self.places), flat_BE)

    def gather(self, rows_DLE: Tensor) -> Tensor:
        """Take the utterances back in the batch's order: shape (B, E)."""
        return rows_DLE[self.rows, self.places]


def arrange(dialogue_B: Tensor | None, num_utterances: int, device: torch.device) -> Dialogues:
    """Find the dialogues of a batch from their ids, int64, shape (B,); None makes every utterance its own.

    Raises `ValueError` where other utterances stand between those of one dialogue.
    """
    if dialogue_B is None:
        dialogue_B = torch.arange(num_utterances, device=device)
    ids_D, row_B, num_D = torch.unique_consecutive(dialogue_B, return_inverse=True, return_counts=True)
    if len(ids_D.unique()) != len(ids_D):
        raise ValueError("the utterances of one dialogue stand together in a batch, in order of time")
    place_B = torch.arange(num_utterances, device=device) - (num_D.cumsum(0) - num_D)[row_B]
    mask_DL = torch.arange(int(num_D.max()), device=device) < num_D[:, None]
    return Dialogues(row_B, place_B, mask_DL)


class ContextBranch(nn.Module):
    """A GRU with self-attention over the utterances of a dialogue, in one modality, with a classifier of its own."""

    def __init__(self, embedding_size: int, config: LeafTransformerConfig) -> None:
        super().__init__()
        size = config.context_hidden_size
        self.official_attention = config.official_attention
        self.gru = nn.GRU(embedding_size, size, num_layers=NUM_GRU_LAYERS, bidirectional=True, batch_first=True)
        self.key_forward = nn.Linear(size, size)
        self.key_backward = nn.Linear(size, size)
        self.classifier = nn.Linear(2 * size, len(config.labels))

    def forward(self, embedding_DLE: Tensor, mask_DL: Tensor) -> tuple[Tensor, Tensor]:
        """Read the dialogues' embeddings in context and classify them: float, shapes (D, L, 2H) and (D, L, K)."""
        num_D = mask_DL.sum(dim=1).cpu()
        packed = pack_padded_sequence(embedding_DLE, num_D, batch_first=True, enforce_sorted=False)
        states_DLH2, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        forward_DLH, backward_DLH = states_DLH2.chunk(2, dim=2)
        parts = (
            self._attend(forward_DLH, self.key_forward(forward_DLH), mask_DL),
            self._attend(backward_DLH, self.key_backward(backward_DLH), mask_DL),
        )
        context_DLH2 = torch.cat(parts, dim=2)
        return context_DLH2, self.classifier(context_DLH2)

    def _attend(self, states_DLH: Tensor, keys_DLH: Tensor, mask_DL: Tensor) -> Tensor:
        """Weight utterances by the likeness of their keys: float, shape (D, L, H).

        The paper: each row's weights sum to one and weigh the states. The code: each column's weights do and weigh the
        keys; likeness is symmetric, so those weights are the transposed ones.
        """
        likeness_DLL = keys_DLH @ keys_DLH.transpose(1, 2)
        weights_DLL = likeness_DLL.masked_fill(~mask_DL[:, None, :], -torch.inf).softmax(dim=2)
        if not self.official_attention:
            return weights_DLL @ states_DLH
        return weights_DLL.transpose(1, 2).masked_fill(~mask_DL[:, None, :], 0) @ keys_DLH


class FusionTransformer(nn.Module):
    """One transformer over all utterances of a dialogue, once as text and once as audio, without positions."""

    def __init__(self, config: LeafTransformerConfig) -> None:
        super().__init__()
        context_size, size = 2 * config.context_hidden_size, config.fusion_size
        self.text_in = nn.Linear(context_size, size)
        self.audio_in = nn.Linear(context_size, size)
        layer = nn.TransformerEncoderLayer(
            size,
            config.num_fusion_heads,
            config.fusion_intermediate_size,
            dropout=config.fusion_dropout,
            activation="gelu",
            layer_norm_eps=NORM_EPS,
            batch_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, config.num_fusion_layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(2 * size, len(config.labels))

    def forward(self, text_DLH2: Tensor, audio_DLH2: Tensor, mask_DL: Tensor) -> tuple[Tensor, Tensor]:
        """Join the modalities: what the classifier reads, float, shape (D, L, J), and logits, shape (D, L, K)."""
        tokens = torch.cat([self.dropout(self.text_in(text_DLH2)), self.dropout(self.audio_in(audio_DLH2))], dim=1)
        answers = self.encoder(tokens, src_key_padding_mask=~torch.cat([mask_DL, mask_DL], dim=1))
        joint_DLJ = torch.cat(answers.chunk(2, dim=1), dim=2)
        return joint_DLJ, self.classifier(self.dropout(joint_DLJ))
