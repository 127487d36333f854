#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Inference on the CPU, with its four phases marked for a power meter.

    python3 -m venv venv && venv/bin/pip install -r examples/phases/requirements.txt
    PYTHONPATH=python powermeasure run -- venv/bin/python examples/phases/infer.py

The model is Magika's, which tells the type of a file from 1536 of its bytes: a trained network of 113 classes,
run here by ONNX Runtime without the package's own code. Prints the types of a folder's files, else of Python's
own library.
"""

import argparse
import collections
import importlib.util
import json
import pathlib
import sysconfig

import numpy
import onnxruntime

from powermeasure import phase

PADDING = 256  # what stands where a file has no byte


def model_folder():
    where = importlib.util.find_spec("magika")
    if where is None:
        raise SystemExit("the model is in the package magika: pip install magika==0.5.1")
    return pathlib.Path(where.submodule_search_locations[0]) / "models" / "standard_v1"


@phase("load")
def load(threads):
    folder = model_folder()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    config = json.loads((folder / "model_config.json").read_text())
    return session, config


def features(content, sizes):
    """The first, middle and last bytes as numbers, filled up behind, on both sides, and before."""
    content = content.strip()
    first, middle, last = sizes["beg"], sizes["mid"], sizes["end"]
    begin = list(content[:first])
    at = max(0, (len(content) - middle) // 2)
    mid = list(content[at:at + middle])
    end = list(content[-last:])
    left = (middle - len(mid)) // 2
    return (begin + [PADDING] * (first - len(begin)) +
            [PADDING] * left + mid + [PADDING] * (middle - len(mid) - left) +
            [PADDING] * (last - len(end)) + end)


@phase("preprocess")
def preprocess(paths, sizes):
    return numpy.array([features(path.read_bytes(), sizes) for path in paths], dtype=numpy.float32)


@phase("infer")
def infer(session, batch):
    return session.run(["target_label"], {"bytes": batch})[0]


@phase("postprocess")
def postprocess(scores, labels, counts):
    for row in scores:
        best = int(row.argmax())
        counts[labels[best] if row[best] >= 0.5 else "not sure"] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path,
                        default=pathlib.Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--batch", type=int, default=256, help="files in one")
    parser.add_argument("--threads", type=int, default=1, help="of the inference")
    options = parser.parse_args()
    session, config = load(options.threads)
    labels = config["train_dataset_info"]["target_labels_info"]["target_labels_space"]
    wanted = options.batches * options.batch
    paths = [path for path in sorted(options.folder.rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts and
             64 <= path.stat().st_size <= 1 << 20][:wanted]
    counts = collections.Counter()
    for at in range(0, len(paths), options.batch):
        batch = preprocess(paths[at:at + options.batch], config["cfg"]["input_sizes"])
        postprocess(infer(session, batch), labels, counts)
    print(f"{sum(counts.values())} files: " +
          ", ".join(f"{n} {label}" for label, n in counts.most_common(6)))


if __name__ == "__main__":
    main()
