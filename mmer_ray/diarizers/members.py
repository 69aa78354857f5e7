"""The diarizers by name. A new one is a file here and a line in the table."""

from __future__ import annotations

from collections.abc import Mapping

from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.models.members import Chosen, Member, choose
from mmer_ray.profiles import DiarizeOptions

MEMBERS: Mapping[str, Member] = {
    "clustering": Member("mmer_ray.diarizers.clustering:load_clustering", kind="speaker"),
    "segmentation": Member(
        "mmer_ray.diarizers.segmentation:load_segmentation", kind="segmentation", second_kind="speaker_embedding"
    ),
    "pyannote": Member("mmer_ray.diarizers.pyannote:load_pyannote", kind="pyannote_pipeline"),
}


def choose_diarizer(options: DiarizeOptions) -> Chosen:
    """Read which diarizer a profile names."""
    return choose(options.model, MEMBERS, options.embedding_model)


def load_diarizer(options: DiarizeOptions, vad: VoiceDetector) -> Diarizer:
    """Load the diarizer that a profile names. Raises `PreflightError` where its checkpoint is missing."""
    chosen = choose_diarizer(options)
    diarizer: Diarizer = chosen.member.load(*chosen.resolved_all(), options, vad)
    return diarizer
