#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Image classification on the CPU, with its four phases marked for a power meter.

    python3 -m venv venv && venv/bin/pip install -r examples/phases/requirements.txt
    PYTHONPATH=python powermeasure run -- venv/bin/python examples/phases/infer.py

The model is MobileNet (v1, 224 x 224, 1000 classes) as ONNX Runtime executes it. It is made here, with
random weights from a fixed seed: what it computes costs the same as with trained ones, and means
nothing. The images are noise for the same reason.
"""

import argparse
import pathlib
import tempfile

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from powermeasure import phase

CLASSES = 1000
SIZE = 224
# Of the separable blocks: channels out, stride.
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
          (512, 1), (512, 1), (1024, 2), (1024, 1)]


class Builder:
    """Layers, one after the other."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights, self.last = [], [], "images"

    def weight(self, *shape):
        scale = (2 / numpy.prod(shape[1:])) ** 0.5
        array = self.random.normal(0, scale, shape).astype(numpy.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind, *more, **attributes):
        output = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *more], [output], **attributes))
        self.last = output

    def convolution(self, channels_in, channels_out, kernel, stride, groups=1):
        self.add("Conv", self.weight(channels_out, channels_in // groups, kernel, kernel),
                 kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
        self.add("Relu")


def make_model(path):
    """MobileNet, in a file."""
    b = Builder(seed=1)
    b.convolution(3, 32, 3, 2)
    channels = 32
    for out, stride in BLOCKS:
        b.convolution(channels, channels, 3, stride, groups=channels)
        b.convolution(channels, out, 1, 1)
        channels = out
    b.add("GlobalAveragePool")
    b.add("Flatten")
    b.add("Gemm", b.weight(CLASSES, channels), transB=1)
    graph = helper.make_graph(
        b.nodes, "mobilenet",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(b.last, TensorProto.FLOAT, ["n", CLASSES])], b.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


@phase("load")
def load(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@phase("preprocess")
def preprocess(images):
    """Every second pixel of 448 x 448, normalised, with the channels first."""
    small = images[:, ::2, ::2].astype(numpy.float32) / 255
    normal = (small - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return numpy.ascontiguousarray(normal.transpose(0, 3, 1, 2), dtype=numpy.float32)


@phase("infer")
def infer(session, batch):
    return session.run(None, {"images": batch})[0]


@phase("postprocess")
def postprocess(logits):
    """The five likeliest classes of each image."""
    e = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return numpy.argsort(-e / e.sum(axis=1, keepdims=True), axis=1)[:, :5]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32, help="images in one")
    arguments = parser.parse_args()
    random = numpy.random.default_rng(2)
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "mobilenet.onnx"
        make_model(path)
        session = load(path)
        for _ in range(arguments.batches):
            images = random.integers(0, 256, (arguments.batch, 2 * SIZE, 2 * SIZE, 3), numpy.uint8)
            best = postprocess(infer(session, preprocess(images)))
    print(f"{arguments.batches * arguments.batch} images, the last one's classes: {best[-1].tolist()}")


if __name__ == "__main__":
    main()
