"""Small models in the layout of onnx-asr, made with `onnx`: random weights, or one that writes a word where it is loud.

Shape letters: B chunks, M mel bins, F frames of 10 ms, T encoder frames, V vocabulary, H values.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VOCABULARY = ("▁a", "▁be", "c", "de", ".", "▁", "<unk>", "<blk>")
BLANK = len(VOCABULARY) - 1
DURATIONS = 5
"""Of a TDT: 0 to 4 frames."""
HIDDEN = 16
SUBSAMPLING = 8
Weights = dict[str, np.ndarray]


def nemo_ctc(folder: Path, *, seed: int = 0, name: str = "model") -> Path:
    """A CTC of NeMo with random weights."""
    weights = {"kernel": _random(seed, (len(VOCABULARY), 80, 9)), "bias": np.zeros(len(VOCABULARY), np.float32)}
    _save(folder / f"{name}.onnx", _ctc(("audio_signal", "length", "logprobs"), 80, SUBSAMPLING), weights)
    return _described(folder, "nemo-conformer-ctc")


def loud_word_ctc(folder: Path) -> Path:
    """A CTC of NeMo that writes `a` where a frame is louder than the mean."""
    kernel = np.zeros((len(VOCABULARY), 80, 9), np.float32)
    kernel[0, :, 4] = 1 / 80
    bias = np.full(len(VOCABULARY), -20, np.float32)
    bias[0], bias[BLANK] = 0, 0.5
    nodes = _ctc(("audio_signal", "length", "logprobs"), 80, SUBSAMPLING)
    _save(folder / "model.onnx", nodes, {"kernel": kernel, "bias": bias})
    return _described(folder, "nemo-conformer-ctc")


def gigaam_ctc(folder: Path, *, seed: int = 0) -> Path:
    """A CTC of GigaAM with random weights."""
    weights = {"kernel": _random(seed, (len(VOCABULARY), 64, 5)), "bias": np.zeros(len(VOCABULARY), np.float32)}
    _save(folder / "v2_ctc.onnx", _ctc(("features", "feature_lengths", "log_probs"), 64, 4), weights)
    return _described(folder, "gigaam-v2-ctc", vocabulary="v2_vocab.txt")


def nemo_tdt(folder: Path, *, seed: int = 0, model_type: str = "nemo-conformer-tdt") -> Path:
    """A transducer of NeMo with random weights; of type RNN-T it says no durations."""
    num_outputs = len(VOCABULARY) + (DURATIONS if model_type.endswith("tdt") else 0)
    _save(folder / "encoder-model.onnx", _encoder(), {"kernel": _random(seed, (HIDDEN, 80, 9)), **_LENGTHS})
    weights = {
        "embedding": _random(seed + 1, (len(VOCABULARY), HIDDEN)),
        "of_sound": _random(seed + 2, (HIDDEN, num_outputs)) / 4,
        "of_text": _random(seed + 3, (HIDDEN, num_outputs)),
    }
    _save(folder / "decoder_joint-model.onnx", _decoder(num_outputs), weights)
    return _described(folder, model_type)


def _described(folder: Path, model_type: str, vocabulary: str = "vocab.txt") -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    lines = (f"{token} {index}\n" for index, token in enumerate(VOCABULARY))
    (folder / vocabulary).write_text("".join(lines), encoding="utf-8")
    return folder


def _ctc(names: tuple[str, str, str], num_mels: int, stride: int) -> onnx.GraphProto:
    features, length, answer = names
    nodes = [
        _convolution(features, "hidden_BVT", ["kernel", "bias"], stride),
        helper.make_node("Transpose", ["hidden_BVT"], ["hidden_BTV"], perm=[0, 2, 1]),
        helper.make_node("LogSoftmax", ["hidden_BTV"], [answer], axis=-1),
    ]
    inputs = [_tensor(features, ["B", num_mels, "F"]), _tensor(length, ["B"], TensorProto.INT64)]
    return helper.make_graph(nodes, "ctc", inputs, [_tensor(answer, ["B", "T", len(VOCABULARY)])])


def _encoder() -> onnx.GraphProto:
    nodes = [
        _convolution("audio_signal", "hidden_BHT", ["kernel"], SUBSAMPLING),
        helper.make_node("Tanh", ["hidden_BHT"], ["outputs"]),
        helper.make_node("Sub", ["length", "one"], ["less"]),
        helper.make_node("Div", ["less", "eight"], ["whole"]),
        helper.make_node("Add", ["whole", "one"], ["encoded_lengths"]),
    ]
    inputs = [_tensor("audio_signal", ["B", 80, "F"]), _tensor("length", ["B"], TensorProto.INT64)]
    outputs = [_tensor("outputs", ["B", HIDDEN, "T"]), _tensor("encoded_lengths", ["B"], TensorProto.INT64)]
    return helper.make_graph(nodes, "encoder", inputs, outputs)


_LENGTHS = {"one": np.array([1], np.int64), "eight": np.array([SUBSAMPLING], np.int64)}


def _decoder(num_outputs: int) -> onnx.GraphProto:
    nodes = [
        helper.make_node("Gather", ["embedding", "targets"], ["embedded"]),
        helper.make_node("Add", ["input_states_1", "embedded"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["output_states_1"]),
        helper.make_node("Identity", ["input_states_2"], ["output_states_2"]),
        helper.make_node("Transpose", ["encoder_outputs"], ["sound"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["sound", "of_sound"], ["by_sound"]),
        helper.make_node("MatMul", ["output_states_1", "of_text"], ["by_text"]),
        helper.make_node("Add", ["by_sound", "by_text"], ["outputs"]),
    ]
    state = [1, 1, HIDDEN]
    inputs = [
        _tensor("encoder_outputs", [1, HIDDEN, 1]),
        _tensor("targets", [1, 1], TensorProto.INT32),
        _tensor("target_length", [1], TensorProto.INT32),
        _tensor("input_states_1", state),
        _tensor("input_states_2", state),
    ]
    outputs = [
        _tensor("outputs", [1, 1, num_outputs]),
        _tensor("output_states_1", state),
        _tensor("output_states_2", state),
    ]
    return helper.make_graph(nodes, "decoder", inputs, outputs)


def _convolution(given: str, made: str, weights: list[str], stride: int) -> onnx.NodeProto:
    """Frames t * stride with as many to either side: (F - 1) // stride + 1 of them."""
    return helper.make_node("Conv", [given, *weights], [made], strides=[stride], pads=[stride // 2, stride // 2])


def _tensor(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _random(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def _save(file: Path, graph: onnx.GraphProto, weights: Weights) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, file)
