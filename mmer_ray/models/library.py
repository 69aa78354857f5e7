"""What is used of the transformers library: imported here and nowhere else, once torchaudio can be imported.

The library imports torchaudio with its first model, and the registry's torchaudio fails beside a CPU build of torch.
"""

from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable

silence_telemetry()
make_torchaudio_importable()

from transformers import (  # noqa: E402
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoTokenizer,
    FeatureExtractionMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)
from transformers.audio_utils import mel_filter_bank  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

# Its bars would stand among what a command says.
disable_progress_bar()  # type: ignore[no-untyped-call]

__all__ = [
    "AutoConfig",
    "AutoFeatureExtractor",
    "AutoModel",
    "AutoModelForAudioClassification",
    "AutoModelForCTC",
    "AutoTokenizer",
    "FeatureExtractionMixin",
    "PreTrainedModel",
    "PreTrainedTokenizerBase",
    "PreTrainedTokenizerFast",
    "Wav2Vec2Config",
    "Wav2Vec2FeatureExtractor",
    "Wav2Vec2Model",
    "mel_filter_bank",
]
