"""The member `onnx`: models in ONNX's format that give the times of their tokens, read through `onnx-asr`.

CTC and transducer models (Parakeet and other Conformers of NeMo, GigaAM). No other file imports `onnx_asr`.

Each chunk runs by itself, at its own length. In a batch ONNX Runtime computes a convolution in another order, also
where all chunks are of one length: with version 1.31 four chunks together move log probabilities by 2e-5 against each
alone, and an answer must not depend on its neighbours. Several threads read side by side instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_asr
import onnxruntime
import torch
from onnx_asr.asr import TimestampedResult

from mmer_ray.audio.pcm import to_float
from mmer_ray.errors import PreflightError, ProfileError, UsageError
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.onnx_asr_folder import OnnxAsrFolder, read_folder
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.hints import refuse_languages, refuse_text
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import SAMPLE_RATE_HZ, Expected

MAX_CHUNK_S = 30.0
MARGIN_S = 0.2
"""As the member `whisper`."""
MIN_SAMPLES = SAMPLE_RATE_HZ // 10
"""Features are normalised over a chunk, which takes some frames of 10 ms."""


class OnnxRecognizer:
    """Reads chunks of up to 30 s."""

    max_chunk_s = MAX_CHUNK_S
    packs_chunks = False
    margin_s = MARGIN_S

    def __init__(self, model: ResolvedModel, options: TranscribeOptions) -> None:
        """Load a folder. Raises `PreflightError` for one that cannot be read, `ProfileError` for several languages."""
        if len(options.languages) > 1:
            raise ProfileError(
                "transcribe.languages: the recognizer onnx cannot tell languages apart; name the one that is spoken, "
                "or none"
            )
        self._language = options.languages[0] if options.languages else None
        folder = read_folder(model.path)
        self._frame_s = folder.frame_s
        self._device = "cuda" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"
        self._model = _load(folder, self._device)

    def check_expected(self, expected: Expected) -> None:
        """As `Recognizer.check_expected`: one language is taken as a label of what is written."""
        refuse_text(expected, "onnx")
        if len(expected.languages) > 1:
            raise UsageError("languages: the recognizer onnx cannot tell languages apart; name the one that is spoken")
        if self._language is not None:
            refuse_languages(expected.languages, (self._language,))

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks: one transcript each, in order; one that is shorter than 0.1 s has no words."""
        return [
            self._transcript(self._recognize(chunk), len(chunk.samples) / SAMPLE_RATE_HZ, self._language_of(chunk))
            if len(chunk.samples) >= MIN_SAMPLES
            else Transcript(language=self._language_of(chunk))
            for chunk in chunks
        ]

    def _language_of(self, chunk: Chunk) -> str | None:
        return chunk.expected.languages[0] if chunk.expected.languages else self._language

    def _recognize(self, chunk: Chunk) -> TimestampedResult:
        samples_1S = to_float(chunk.samples)[None]
        result: TimestampedResult
        with forward_pass(self._device):
            (result,) = self._model.asr.recognize_batch(
                samples_1S, np.array([samples_1S.shape[1]], dtype=np.int64), need_logprobs="yes"
            )
        return result

    def _transcript(self, result: TimestampedResult, duration_s: float, language: str | None) -> Transcript:
        words = tuple(timed_words(result, self._frame_s, duration_s))
        logprob = float(np.mean(result.logprobs)) if words and result.logprobs else None
        return Transcript(words, language=language, logprob=logprob)


def timed_words(result: TimestampedResult, frame_s: float, duration_s: float) -> Iterator[TimedWord]:
    """Put tokens together to words: a token that begins with a space begins one.

    A token is placed in the frame that it was written in and lasts that one frame, as in NeMo's own times of words; no
    word lasts into the next or past `duration_s`.
    """
    spelled = _spelled(result)
    starts_s = [tokens[0][1] for tokens in spelled]
    for tokens, next_start_s in zip(spelled, [*starts_s, duration_s][1:], strict=True):
        start_s = min(tokens[0][1], duration_s)
        end_s = max(start_s, min(tokens[-1][1] + frame_s, next_start_s, duration_s))
        logprobs = [logprob for _, _, logprob in tokens]
        word = "".join(text for text, _, _ in tokens)
        yield TimedWord(word, start_s, end_s, float(np.mean(np.exp(logprobs))), float(np.mean(logprobs)))


def _spelled(result: TimestampedResult) -> list[list[tuple[str, float, float]]]:
    """The words of a result: text, seconds and log probability of each token that spells something."""
    assert result.tokens is not None
    assert result.timestamps is not None
    assert result.logprobs is not None
    words: list[list[tuple[str, float, float]]] = []
    begins = True
    for token, start_s, logprob in zip(result.tokens, result.timestamps, result.logprobs, strict=True):
        begins = begins or token.startswith(" ")
        text = token.strip()
        # Marks of the vocabulary that are no text, such as <unk>.
        if not text or (text.startswith("<") and text.endswith(">")):
            continue
        if begins:
            words.append([])
        words[-1].append((text, start_s, logprob))
        begins = False
    return words


def _load(folder: OnnxAsrFolder, device: str) -> Any:
    """Load the model from its folder: a folder that is there keeps the library off the network."""
    settings = onnxruntime.SessionOptions()
    # As PyTorch's operations, one core for a batch in a pipeline; threads that spin take the cores of others.
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    try:
        return onnx_asr.load_model(
            folder.model_type,
            folder.path,
            quantization=folder.quantization,
            sess_options=settings,
            providers=providers,
            # One set of features on every device.
            preprocessor_config={"use_numpy_preprocessors": True, "max_concurrent_workers": 1},
        )
    # ONNX Runtime raises what derives from nothing narrower.
    except Exception as exc:
        raise PreflightError(
            f"the onnx_asr model in {folder.path} cannot be loaded: {' '.join(str(exc).split())}"
        ) from exc
