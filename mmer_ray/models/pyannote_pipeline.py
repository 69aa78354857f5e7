"""A diarization pipeline of pyannote.audio 4, read from its folder. No other file imports pyannote.audio.

The library's own loading would ask the hub for what a configuration does not name, and run what a pickle holds. Here
every part comes from the folder: `config.yaml` names folders inside it as `$model/PART`, checkpoints are read as
tensors and plain values (`pickles.py`), and the network of a checkpoint is one of the library's own. So a pipeline of
unknown digest can be read too.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from mmer_ray.errors import PreflightError
from mmer_ray.models.pickles import read_pickle
from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable

silence_telemetry()
make_torchaudio_importable()

from pyannote.audio import Model  # noqa: E402
from pyannote.audio.core.plda import PLDA  # noqa: E402
from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: E402
from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization  # noqa: E402

CONFIG_NAME = "config.yaml"
PIPELINES = (
    "pyannote.audio.pipelines.SpeakerDiarization",
    "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization",
)
NETWORKS = "pyannote.audio.models."
"""The package that a checkpoint's network must be of."""
INSIDE = "$model/"
BATCH = {"segmentation_batch_size": 16, "embedding_batch_size": 16}
"""Chunks of ten seconds of one forward pass: about 300 MB of activations."""


class Answer(NamedTuple):
    """What the pipeline says of one stretch of sound; times in seconds from its start, speakers 0.., as found."""

    turns: list[tuple[float, float, int]]
    exclusive_turns: list[tuple[float, float, int]]
    embeddings: NDArray[np.float32]
    """Of the speakers, shape (num_speakers, embedding_dim), not normalised; no number where nobody is heard alone."""
    spans: NDArray[np.float64]
    """Start, end and seconds of speech of each local speaker of each chunk, shape (N, 3)."""
    local_embeddings: NDArray[np.float32]
    """Of the same, shape (N, embedding_dim), all finite."""


class PyannotePipeline:
    """A pipeline in memory. Not safe to call from several threads at once."""

    def __init__(self, folder: Path, distance_threshold: float | None = None) -> None:
        """Load a folder, onto a GPU where there is one. Raises `PreflightError` for one that is no such pipeline.

        `distance_threshold` takes the place of the clustering's own.
        """
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        config = _config(folder / CONFIG_NAME)
        arguments: dict[str, Any] = {**_parts(folder, config), **BATCH}
        self._pipeline = cast(Any, SpeakerDiarization(**arguments))
        options = config.get("params") or self._pipeline.default_parameters()
        if distance_threshold is not None:
            options = {**options, "clustering": {**options.get("clustering", {}), "threshold": distance_threshold}}
        try:
            self._pipeline.instantiate(options)
        except ValueError as exc:
            raise _unfit(folder / CONFIG_NAME, f"its parameters do not fit: {exc}") from exc
        self._pipeline.to(torch.device(self.device))

    def __call__(self, sound: NDArray[np.float32], rate_hz: int, max_speakers: int) -> Answer:
        """Diarize mono sound, float32 in -1..1, shape (num_samples,)."""
        heard: dict[str, Any] = {}

        def remember(step: str, found: Any, **more: Any) -> None:
            if more.get("total") is None and step in ("segmentation", "embeddings"):
                heard[step] = found

        file = {"waveform": torch.from_numpy(sound)[None], "sample_rate": rate_hz, "uri": "window"}
        output = self._pipeline(file, max_speakers=max_speakers, hook=remember)
        labels = output.speaker_diarization.labels()
        spans, vectors = _local_speakers(heard)
        return Answer(
            _turns(output.speaker_diarization, labels),
            _turns(output.exclusive_speaker_diarization, labels),
            np.asarray(output.speaker_embeddings, np.float32)[: len(labels)],
            spans,
            vectors,
        )


def _turns(annotation: Any, labels: list[str]) -> list[tuple[float, float, int]]:
    found = annotation.itertracks(yield_label=True)
    return [(segment.start, segment.end, labels.index(label)) for segment, _, label in found]


def _local_speakers(heard: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Where each local speaker of each chunk talks, and its embedding; nothing where nobody talks."""
    if "embeddings" not in heard:
        return np.empty((0, 3)), np.empty((0, 0), np.float32)
    window, vectors = heard["segmentation"].sliding_window, heard["embeddings"]
    active_CTL = np.nan_to_num(heard["segmentation"].data) > 0.5
    frame_s = window.duration / active_CTL.shape[1]
    spans, chosen = [], []
    for chunk, active_TL in enumerate(active_CTL):
        for local, active_T in enumerate(active_TL.T):
            frames = np.flatnonzero(active_T)
            if len(frames) and np.isfinite(vectors[chunk, local]).all():
                start_s = window.start + chunk * window.step
                edges_s = start_s + frames[0] * frame_s, start_s + (frames[-1] + 1) * frame_s
                spans.append((*edges_s, len(frames) * frame_s))
                chosen.append(vectors[chunk, local])
    return np.array(spans).reshape(-1, 3), np.array(chosen, np.float32).reshape(len(chosen), -1)


def _config(file: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        name, params = config["pipeline"]["name"], config["pipeline"].get("params", {})
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as exc:
        raise _unfit(file, f"it cannot be read: {type(exc).__name__}") from exc
    if name not in PIPELINES or not isinstance(params, dict):
        raise _unfit(file, f"its pipeline is {name}, not {PIPELINES[0]}")
    return config  # type: ignore[no-any-return]


def _parts(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline's arguments, its models loaded."""
    params = dict(config["pipeline"].get("params", {}))
    where = folder / CONFIG_NAME
    inside = {name: _inside(folder, params.get(name), name) for name in ("segmentation", "embedding")}
    params |= {name: _model(path / "pytorch_model.bin") for name, path in inside.items()}
    if params.get("clustering", "VBxClustering") == "VBxClustering":
        params["plda"] = _plda(_inside(folder, params.get("plda"), "plda"))
    else:
        # Other clusterings have none, but the library would bring the one of community-1 from the hub.
        params["plda"] = PLDA.__new__(PLDA)
    known = inspect.signature(SpeakerDiarization.__init__).parameters
    if unknown := sorted(set(params) - set(known)):
        raise _unfit(where, f"pyannote.audio knows no {', '.join(unknown)} of a pipeline")
    return {name: value for name, value in params.items() if name not in (*BATCH, "legacy", "token", "cache_dir")}


def _inside(folder: Path, named: object, part: str) -> Path:
    """A part's folder. Whatever lies elsewhere would have to be brought from the hub."""
    inside = named.removeprefix(INSIDE) if isinstance(named, str) and named.startswith(INSIDE) else ""
    path = folder / inside
    if not inside or ".." in Path(inside).parts or not path.is_dir():
        raise _unfit(
            folder / CONFIG_NAME, f"its {part} is {named!r}, no folder inside it: write {INSIDE}{part} and put it there"
        )
    return path


def _plda(folder: Path) -> PLDA:
    try:
        return PLDA(folder / "xvec_transform.npz", folder / "plda.npz")
    except (OSError, ValueError, KeyError) as exc:
        raise _unfit(folder, f"it is no PLDA: {exc}") from exc


def _model(file: Path) -> Model:
    """A network of the library with the weights of a checkpoint; nothing that the pickle names is run."""
    if not file.is_file():
        raise _unfit(file, "there is no such file")
    table = read_pickle(file, (Specifications, Problem, Resolution))
    try:
        made_with = table["pyannote.audio"]
        module, name = (made_with["architecture"][key] for key in ("module", "class"))
        options, weights = table.get("hyper_parameters", {}), table["state_dict"]
    except (KeyError, TypeError) as exc:
        raise _unfit(file, f"it is no checkpoint of pyannote.audio: it has no {exc}") from exc
    network = getattr(import_module(module), name, None) if str(module).startswith(NETWORKS) else None
    if not (inspect.isclass(network) and issubclass(network, Model)):
        raise _unfit(file, f"pyannote.audio has no network {module}.{name}")
    known = inspect.signature(network.__init__).parameters
    model = network(**{key: value for key, value in options.items() if key in known})
    model.on_load_checkpoint(dict(table))
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as exc:
        raise _unfit(file, str(exc).partition("\n")[0]) from exc
    if missing:
        raise _unfit(file, f"it has no {', '.join(missing[:3])}")
    return model.eval()


def _unfit(where: Path, why: str) -> PreflightError:
    return PreflightError(f"{where} is no pipeline that can be read: {why}; bring another copy of the model")
