"""Imports go down only, heavy libraries load late, and HTTP stays where it belongs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module imports only from the lines above its own.
LAYERS = [
    {
        "inference.agreement",
        "inference.batch",
        "inference.chunk",
        "inference.corpus.markdown",
        "inference.device",
        "inference.errors",
        "inference.metrics",
        "inference.resource",
        "inference.similarity",
        "inference.spans",
    },
    {
        "inference.calibration",
        "inference.charset",
        "inference.encoding_run",
        "inference.reference",
        "inference.result",
        "inference.score_file",
        "inference.vector_file",
        "inference.weights",
        "inference.window",
    },
    {"inference.calibration_plot", "inference.checkpoint", "inference.row_format"},
    {"inference.model"},
    {
        "inference.package",
        "inference.reader_model",
        "inference.tokenizer",
        "inference.user_code",
    },
    {"inference.table"},
    {"inference.text_source"},
    {"inference.encoders.base"},
    {
        "inference.encoders.checkpoint_encoder",
        "inference.encoders.compiled",
        "inference.encoders.head",
        "inference.encoders.packed_attention",
        "inference.encoders.packed_batch",
        "inference.encoders.packed_linear",
        "inference.encoders.two_towers",
        "inference.torch_model",
    },
    {"inference.corpus.base"},
    {
        "inference.corpus.database",
        "inference.corpus.filters",
        "inference.corpus.fusion",
        "inference.corpus.keywords",
        "inference.corpus.loaders",
        "inference.corpus.opensearch_client",
        "inference.corpus.schema",
        "inference.corpus.vector_source",
    },
    {
        "inference.corpus.opensearch_index",
        "inference.corpus.rows",
        "inference.corpus.segment",
        "inference.feedback",
    },
    {"inference.corpus.generation_file"},
    {
        "inference.corpus.faiss_index",
        "inference.corpus.indexing",
        "inference.corpus.opensearch_store",
        "inference.corpus.store",
    },
    {"inference.corpus.local", "inference.corpus.opensearch"},
    {"inference.corpus"},
    {"inference.encoders.cuda_graphs", "inference.encoders.packed_pooling"},
    {"inference.encoders.packed_transformer"},
    {
        "inference.encoders.onnx_encoder",
        "inference.encoders.onnx_graph",
        "inference.encoders.precision",
        "inference.encoders.torch_encoder",
    },
    {"inference.encoders.onnx_int8"},
    {"inference.encoders.compile"},
    {"inference.encoders"},
    {"inference.job", "inference.lifecycle", "inference.vector_cache"},
    {"inference.batcher", "inference.torch_reader"},
    {"inference.pipeline", "inference.reader", "inference.user_model"},
    {"inference.long_text"},
    {"inference.engine"},
    {"inference.answering.base"},
    {"inference.answering.prompts"},
    {"inference.answering.torch_causal"},
    {
        "inference.answering.extractive",
        "inference.answering.local",
        "inference.answering.openai",
        "inference.answering.sagemaker",
    },
    {"inference.answering", "inference.answering.asker"},
    {"inference.embedder", "inference.pair_table", "inference.parity"},
]

HTTP = {"webapp", "flask", "werkzeug", "gunicorn", "flask_cors", "flask_openapi", "http"}

HEAVY = {"torch", "transformers", "sentence_transformers"}

# Where torch is at home; whoever needs these modules imports them late.
TORCH = {
    "inference.answering.torch_causal",
    "inference.torch_model",
    "inference.torch_reader",
    "inference.encoders.torch_encoder",
    "inference.encoders.compile",
    "inference.encoders.cuda_graphs",
    "inference.encoders.head",
    "inference.encoders.packed_attention",
    "inference.encoders.packed_batch",
    "inference.encoders.packed_linear",
    "inference.encoders.packed_pooling",
    "inference.encoders.packed_transformer",
}

# Names under which a route declares the statuses it may answer with, for the OpenAPI document.
DECLARATIONS = {"_ERRORS", "_STATES", "responses", "abp_responses"}

# Health is a state and no error.
STATUSES = {("webapp/routes/ops.py", 503)}


@dataclass(frozen=True)
class Import:
    """A module that a file imports, and whether it does when it is itself imported."""

    module: str
    eager: bool

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


def _module(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    _module(file): file for name in ("inference", "webapp") for file in (ROOT / name).rglob("*.py")
}
INFERENCE = sorted(name for name in FILES if name.startswith("inference."))
WEBAPP = sorted(name for name in FILES if name.startswith("webapp"))
ROUTES = sorted(name for name in FILES if name.startswith("webapp.routes."))


def _imports(name: str) -> list[Import]:
    return list(_imports_in(ast.parse(FILES[name].read_text(encoding="utf-8")), eager=True))


def _imports_in(node: ast.AST, *, eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.module is not None, "imports are absolute"
            assert child.level == 0, "imports are absolute"
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield Import(whole if whole in FILES else child.module, eager)
        else:
            late = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(child)
            yield from _imports_in(child, eager=eager and not late)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_every_kind_of_import_is_seen() -> None:
    """Or the tests below would pass on nothing."""
    assert {"inference.engine", "webapp.application", "webapp.routes.api"} <= FILES.keys()
    late = _imports("inference.encoders")
    assert Import("inference.encoders.torch_encoder", eager=False) in late
    assert Import("inference.encoders.base", eager=True) in late
    assert Import("inference.metrics", eager=True) in _imports("inference.batcher")
    assert Import("inference.checkpoint", eager=False) in _imports("inference.tokenizer")
    assert Import("torch", eager=True) in _imports("inference.encoders.torch_encoder")


@pytest.mark.parametrize("name", INFERENCE)
def test_inference_imports_from_lower_layers_only(name: str) -> None:
    ranks = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}
    assert name in ranks, f"{name} has no layer yet: give it one in LAYERS"
    for imported in _imports(name):
        if imported.root == "inference":
            assert ranks[imported.module] < ranks[name], f"{name} imports {imported.module}"


@pytest.mark.parametrize("name", ["inference", *INFERENCE])
def test_inference_knows_nothing_of_http(name: str) -> None:
    assert not {imported.root for imported in _imports(name)} & HTTP


@pytest.mark.parametrize("name", ["inference", *INFERENCE])
def test_inference_reads_no_environment_variables(name: str) -> None:
    readers = {"environ", "environb", "getenv", "getenvb", "putenv"}
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in readers
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & readers


@pytest.mark.parametrize("name", sorted(FILES.keys() - TORCH))
def test_heavy_libraries_load_late(name: str) -> None:
    eager = [imported for imported in _imports(name) if imported.eager]
    assert not {imported.root for imported in eager} & HEAVY
    assert not {imported.module for imported in eager} & TORCH


@pytest.mark.parametrize("name", WEBAPP)
def test_webapp_reaches_models_through_the_engine(name: str) -> None:
    imports = {imported.module for imported in _imports(name)}
    assert not {module for module in imports if module.startswith("inference.encoders")}
    assert not {module.partition(".")[0] for module in imports} & HEAVY


@pytest.mark.parametrize("name", WEBAPP)
def test_only_the_application_knows_the_routes(name: str) -> None:
    """So they do not import each other either."""
    routes = {
        imported.module
        for imported in _imports(name)
        if imported.module.startswith("webapp.routes")
    }
    assert not routes or name == "webapp.application"


@pytest.mark.parametrize("name", WEBAPP)
def test_status_numbers_of_errors_stand_in_one_place(name: str) -> None:
    file = FILES[name].relative_to(ROOT).as_posix()
    if file == "webapp/errors.py":
        return
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    declared = _numbers(tree, declared=True) if name in ROUTES else []
    found = _numbers(tree)
    for number in declared:
        found.remove(number)
    assert not {number for number in found if (file, number) not in STATUSES}


def _numbers(node: ast.AST, *, declared: bool = False) -> list[int]:
    """Integers from 400 to 599 in a file, or only those where a route declares its answers."""
    if declared:
        return [number for part in _declarations(node) for number in _numbers(part)]
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and type(part.value) is int and 400 <= part.value <= 599
    ]


def _declarations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in DECLARATIONS:
            yield node
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if {ast.unparse(target) for target in targets} & DECLARATIONS:
                yield node


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        # gunicorn's master: before the fork, and before the metrics' folder is set.
        (
            ["webapp", "webapp.gunicorn_conf"],
            {"torch", "transformers", "prometheus_client", "inference.engine"},
        ),
        # The command line answers --help at once.
        (["webapp.cli"], {"torch", "transformers", "prometheus_client", "inference.engine"}),
        (["webapp.application"], {"torch", "transformers", "tokenizers"}),
        (["inference.engine"], {"torch", "transformers", "tokenizers", "flask"}),
    ],
)
def test_importing_loads_nothing_heavy(modules: list[str], absent: set[str]) -> None:
    command = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
    environment = {name: value for name, value in os.environ.items() if "SSANG" not in name}
    result = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )
    loaded = set(json.loads(result.stdout))
    assert set(modules) <= loaded
    assert not loaded & absent
