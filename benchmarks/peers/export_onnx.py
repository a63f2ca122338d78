"""The transformer of a model's folder as onnx/model.onnx in it, in fp32, by optimum.

python export_onnx.py MODEL
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from optimum.exporters.onnx import main_export

# This optimum knows the exporter that was torch's default when it was made.
torch.onnx.export = partial(torch.onnx.export, dynamo=False)

if __name__ == "__main__":
    model = Path(sys.argv[1])
    (model / "onnx").mkdir()
    # optimum copies tokenizer and configuration too, which are in the folder already.
    with tempfile.TemporaryDirectory(dir=model) as exported:
        main_export(
            str(model),
            exported,
            task="feature-extraction",
            dtype="fp32",
            framework="pt",
            # It would take a folder with sentence_bert_config.json for a sentence-transformers
            # model, and pool within the graph; infinity pools what the graph gives.
            library_name="transformers",
        )
        Path(exported, "model.onnx").rename(model / "onnx" / "model.onnx")
