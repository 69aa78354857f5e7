"""Dutta and Ganapathy (ICASSP 2022): four parts, each trained on the frozen outputs of those before it.

Shape letters: B utterances, D dialogues, L utterances of the longest, K classes, E width of an embedding, J width of
what the classifier reads.
"""

from __future__ import annotations

from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput
from mmer_ray.models.leaf_transformer.config import FAMILY, LeafTransformerConfig
from mmer_ray.models.leaf_transformer.dialogue import ContextBranch, FusionTransformer, arrange
from mmer_ray.models.leaf_transformer.unimodal import AudioBranch, TextBranch


class LeafTransformerModel(EmotionModel):
    """Utterances by their sound and their words, then in the context of their dialogue, then both together."""

    family = FAMILY
    reads_dialogue = True
    text_encoder_part = "text.bert"
    noted_parts = ("audio.leaf", "text.bert")

    def __init__(self, config: LeafTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = config.labels
        self.audio = AudioBranch(config)
        self.text = TextBranch(config)
        self.audio_context = ContextBranch(config.channels[-1], config)
        self.text_context = ContextBranch(2 * config.text_hidden_size, config)
        self.fusion = FusionTransformer(config)

    @property
    def min_samples(self) -> int:
        """One: utterances too short for the CNN are read with silence behind them."""
        return 1

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch; an utterance's answer depends on its own dialogue and on nothing else in the batch.

        The branches are "audio" and "text", one utterance alone, and "audio_context" and "text_context", one modality
        of a dialogue.
        """
        audio_BE, audio_logits_BK = self.audio(batch.samples, batch.num_samples)
        text_BE, text_logits_BK = self.text(batch)
        dialogues = arrange(batch.dialogue, len(audio_BE), audio_BE.device)
        mask_DL = dialogues.mask
        audio_DLE, audio_context_DLK = self.audio_context(dialogues.spread(audio_BE), mask_DL)
        text_DLE, text_context_DLK = self.text_context(dialogues.spread(text_BE), mask_DL)
        joint_DLJ, logits_DLK = self.fusion(text_DLE, audio_DLE, mask_DL)
        return EmotionOutput(
            logits=dialogues.gather(logits_DLK),
            joint=dialogues.gather(joint_DLJ),
            branches={
                "audio": audio_logits_BK,
                "text": text_logits_BK,
                "audio_context": dialogues.gather(audio_context_DLK),
                "text_context": dialogues.gather(text_context_DLK),
            },
        )


Model = LeafTransformerModel
"""The name under which `families` finds every family's class."""
