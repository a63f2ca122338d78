"""Packages as SageMaker's own handler service runs them, with ssang on the path and without it."""

import io
import json
import os
import shlex
import site
import subprocess
import sys
import tarfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ssang_command import SSANG, refusal, ssang
from tiny_model import (
    SENTENCES,
    WIDTH,
    edit_json,
    save_bert,
    save_klue_roberta,
    save_old_sentence_transformer,
    write_json,
)

from inference.checkpoint import Kind, Pooling, open_checkpoint
from inference.encoders.torch_encoder import TorchEncoder
from inference.model import open_model
from inference.package import write_package

ROOT = Path(__file__).parent.parent

# Reads [type, accept, body] a line and writes [status, type, hex of the answer] a line.
DRIVER = """
import json, sys
from sagemaker_inference.default_handler_service import DefaultHandlerService

class Processor:
    def get_request_properties(self):
        return {"Content-Type": self.content_type, "Accept": self.accept}

class Context:
    system_properties = {"model_dir": sys.argv[1]}
    def __init__(self):
        self.request_processor = [Processor()]
    def set_response_content_type(self, number, value):
        self.answered = [200, value]
    def set_response_status(self, code, phrase):
        self.answered = [code, "text/plain"]

service, context = DefaultHandlerService(), Context()
service.initialize(context)
for line in sys.stdin:
    processor = context.request_processor[0]
    processor.content_type, processor.accept, body = json.loads(line)
    (answer,) = service.handle([{"body": body.encode()}], context)
    answer = answer.encode() if isinstance(answer, str) else answer
    print(json.dumps([*context.answered, answer.hex()]))
from importlib.util import find_spec
spec = find_spec("webapp")
# A folder that an editable install left behind is no ssang.
print(json.dumps([sys.modules["inference"].__file__, spec is None or spec.origin is None]))
"""

Request = tuple[str, str, str]


class Answers:
    """What a package's handler service said to requests.

    Attributes:
        code: the file that was imported as the user's code.
        alone: whether ssang could not be imported.
    """

    def __init__(self, model_dir: Path, requests: list[Request], *, installed: bool) -> None:
        # As the server's workers have it. Without `site` the editable install is not found.
        packages = os.pathsep.join([str(model_dir / "code"), *site.getsitepackages()])
        done = subprocess.run(
            [sys.executable, *([] if installed else ["-S"]), "-c", DRIVER, str(model_dir)],
            input="".join(json.dumps(request) + "\n" for request in requests),
            env={**os.environ, "PYTHONPATH": packages},
            cwd=model_dir,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        *answers, (self.code, self.alone) = map(json.loads, done.stdout.splitlines())
        self._answers = [
            (status, kind, bytes.fromhex(content)) for status, kind, content in answers
        ]

    def body(self, number: int, kind: str = "application/json") -> bytes:
        status, found, body = self._answers[number]
        assert (status, found) == (200, kind), body
        return body

    def json(self, number: int) -> Any:
        return json.loads(self.body(number))

    def refusal(self, number: int) -> str:
        status, _, body = self._answers[number]
        assert status == 500
        return body.decode().splitlines()[0]


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@cache
def _encoder(model: Path | str) -> TorchEncoder:
    return TorchEncoder(open_checkpoint(str(model)), device="cpu", precision="fp32", threads=0)


def _vectors(
    model: Path | str, texts: list[str], kind: Kind, max_tokens: int | None = None
) -> npt.NDArray[np.float32]:
    """As ssang itself gives them."""
    encoder = _encoder(model)
    ids = [encoder.tokenize([text], kind, max_tokens).ids for text in texts]
    return np.concatenate([encoder.encode(row) for row in ids])


def _agree(found: Any, expected: npt.NDArray[np.float32]) -> bool:
    cosines = (np.array(found) * expected).sum(axis=1)
    return bool((cosines >= 0.9999).all())


def _json(value: object) -> Request:
    return "application/json", "application/json", json.dumps(value)


REQUESTS: list[Request] = [
    _json({"queries": SENTENCES[0], "documents": SENTENCES, "max_length": 16}),
    _json({"inputs": SENTENCES[0]}),
    _json({"inputs": {"source_sentence": SENTENCES[0], "sentences": SENTENCES}}),
    ("application/json", "application/x-npy", json.dumps({"inputs": SENTENCES})),
    ("text/csv", "text/csv", "inputs\n" + "\n".join(f'"{text}"' for text in SENTENCES)),
    ("application/json; charset=utf-8", "*/*", json.dumps({"inputs": ["\ud800"]})),
    _json({"inputs": [SENTENCES[0], " "]}),
    ("application/json", "application/json", "{"),
    ("text/plain", "application/json", "x"),
    ("application/json", "image/png", json.dumps({"inputs": SENTENCES[0]})),
    _json({"queries": SENTENCES, "documents": []}),
    _json({"queries": SENTENCES, "documents": SENTENCES, "max_length": 0}),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, packaged by the command."""
    path = tmp_path_factory.mktemp("package") / "model.tar.gz"
    done = ssang("package", "ko-mini", "-o", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module", params=[True, False], ids=["installed", "absent"])
def answers(
    request: pytest.FixtureRequest, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Answers:
    """The embedded model's answers where ssang is installed, and where it is not."""
    model_dir = _unpack(archive, tmp_path_factory.mktemp("model"))
    answers = Answers(model_dir, REQUESTS, installed=request.param)
    assert Path(answers.code) == model_dir / "code" / "inference.py"
    assert answers.alone is not request.param
    return answers


def test_layout(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        members = tar.getmembers()
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(names)
    assert {"code/inference.py", "code/requirements.txt", "1_Pooling/config.json"} <= set(names)
    assert names == sorted(names)
    assert {(member.mtime, member.uid, member.mode) for member in members} == {(0, 0, 0o644)}


def test_queries_and_documents(answers: Answers) -> None:
    answer = answers.json(0)
    assert (answer["num_queries"], answer["num_documents"]) == (1, len(SENTENCES))
    assert answer["embedding_dim"] == 384
    assert _agree(answer["query_embeddings"], _vectors("ko-mini", SENTENCES[:1], "query", 16))
    assert _agree(answer["doc_embeddings"], _vectors("ko-mini", SENTENCES, "document", 16))
    assert not _agree(answer["query_embeddings"], _vectors("ko-mini", SENTENCES[:1], "query"))


def test_inputs(answers: Answers) -> None:
    assert _agree(answers.json(1), _vectors("ko-mini", SENTENCES[:1], "document"))


def test_similarities(answers: Answers) -> None:
    vectors = _vectors("ko-mini", SENTENCES, "document")
    assert np.allclose(answers.json(2), vectors @ vectors[0], atol=1e-4)


def test_npy_and_csv(answers: Answers) -> None:
    expected = _vectors("ko-mini", SENTENCES, "document")
    assert _agree(np.load(io.BytesIO(answers.body(3, "application/x-npy"))), expected)
    lines = answers.body(4, "text/csv").decode().splitlines()
    assert _agree([[float(part) for part in line.split(",")] for line in lines], expected)


def test_charset_any_accept_and_lone_surrogate(answers: Answers) -> None:
    assert _agree(answers.json(5), _vectors("ko-mini", ["�"], "document"))


def test_refusals_name_the_item_and_not_the_text(answers: Answers) -> None:
    assert answers.refusal(6) == "inputs[1] must be a text that is not empty."
    assert answers.refusal(7) == "The body is not JSON."
    assert "text/plain is not read here" in answers.refusal(8)
    assert "image/png cannot be answered" in answers.refusal(9)
    assert answers.refusal(10).startswith("documents must be a text")
    assert answers.refusal(11).startswith("max_length must be")


def test_archive_is_served_too(archive: Path) -> None:
    done = ssang("info", "--json", "--model", archive)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dimension"] == 384


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = open_model(str(save_bert(tmp_path / "bert")))
    write_package(model, tmp_path / "first.tar.gz")
    write_package(model, tmp_path / "second.tar.gz")
    first, second = (tmp_path / f"{name}.tar.gz" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_poolings_dense_layers_prompts_and_folders_are_those_of_ssang(tmp_path: Path) -> None:
    """A transformer in a folder of its own, every pooling joined, two dense layers, prompts."""
    import torch
    from safetensors.torch import save_file

    bert = save_klue_roberta(tmp_path / "bert")
    folder = save_old_sentence_transformer(tmp_path / "old", bert, subfolder="0_Transformer")
    edit_json(folder / "0_Transformer/sentence_bert_config.json", do_lower_case=True)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": list(Pooling)})
    write_json(
        folder / "config_sentence_transformers.json", {"prompts": {"query": "오늘 ", "x": "y"}}
    )
    modules = json.loads((folder / "modules.json").read_text())
    widths = [WIDTH * len(Pooling), 8, 5]
    torch.manual_seed(1)
    for number, (wide, narrow) in enumerate(pairwise(widths), start=3):
        name = f"{number}_Dense"
        modules.append({"idx": number, "name": name, "path": name, "type": f"x.{name[2:]}"})
        activation = "torch.nn.modules.activation.Tanh" if number == 3 else "torch.nn.Identity"
        shape = {"in_features": wide, "out_features": narrow, "activation_function": activation}
        write_json(folder / name / "config.json", shape)
        weights = {"linear.weight": torch.randn(narrow, wide), "linear.bias": torch.randn(narrow)}
        if number == 4:
            del weights["linear.bias"]
            torch.save(weights, folder / name / "pytorch_model.bin")
        else:
            save_file(weights, folder / name / "model.safetensors")
    write_json(folder / "modules.json", modules)

    write_package(open_model(str(folder)), tmp_path / "model.tar.gz")
    model_dir = _unpack(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (model_dir / "config.json").is_file()
    request = _json({"queries": SENTENCES, "documents": SENTENCES})
    answer = Answers(model_dir, [request], installed=False).json(0)
    names: dict[Kind, str] = {"query": "query_embeddings", "document": "doc_embeddings"}
    for kind, name in names.items():
        expected = _vectors(folder, SENTENCES, kind)
        assert _agree(answer[name], expected)
        assert _agree(_vectors(model_dir, SENTENCES, kind), expected)
    assert not _agree(answer["query_embeddings"], np.array(answer["doc_embeddings"]))


def test_two_towers_are_refused(tmp_path: Path) -> None:
    for seed, tower in enumerate(("query_encoder", "document_encoder")):
        save_bert(tmp_path / "towers" / tower, seed=seed)
    assert "has two towers" in refusal("package", tmp_path / "towers", "-o", tmp_path / "m.tar.gz")
    assert not (tmp_path / "m.tar.gz").exists()


def test_wrong_endings_and_models_are_refused(tmp_path: Path) -> None:
    assert "must end in .tar.gz" in refusal("package", "ko-mini", "-o", tmp_path / "model.zip")
    assert "There is no model" in refusal("package", "no-such", "-o", tmp_path / "m.tar.gz")
    missing = tmp_path / "no" / "m.tar.gz"
    assert "No such file or directory" in refusal("package", "ko-mini", "-o", missing)


def test_archive_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "model.tar.gz"
    target.write_bytes(b"before")
    command = (
        f"ulimit -f 1000; exec {shlex.join([*SSANG, 'package', 'ko-mini', '-o', str(target)])}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode != 0
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("model.tar.gz", b"before")
    ]
