"""``python -m benchmarks.vector_search SENTENCES``: our index beside plain FAISS and hnswlib.

The same vectors, the same parameters of the graph, one contender at a time, a query at a time.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import vector_data
from benchmarks.contender import K, Parameters
from benchmarks.environment import HERE, CannotInstall, python_of
from benchmarks.result import percentile
from benchmarks.servers import OUR_BIN, ROOT
from inference.corpus.generation_file import EF_CONSTRUCTION, NEIGHBOURS
from inference.corpus.segment import EF_SEARCH

_TITLES = {
    "ours": "ours: the index",
    "collection": "ours: a collection's search without embedding the query",
    "faiss": "plain FAISS, the same graph",
    "hnswlib": "hnswlib, the same parameters",
    "exact": "plain FAISS, exact",
}

_COLUMNS = [
    "index",
    "build s",
    "own MiB",
    "mapped MiB",
    "p50 ms",
    "p99 ms",
    "p50 CPU ms",
    "p99 CPU ms",
    f"recall@{K}",
]


@dataclass(frozen=True)
class Row:
    """What was measured of a contender.

    Attributes:
        build_s: seconds to build it; None where another has.
        own_mib: memory that every process has of its own once it has opened the index.
        mapped_mib: memory of files, which processes share.
        times_ms: of each query.
        cpu_ms: CPU time of each query, which other programs prolong less.
        recall: share of the true ``K`` nearest that were found.
    """

    name: str
    build_s: float | None
    own_mib: float
    mapped_mib: float
    times_ms: list[float]
    cpu_ms: list[float]
    recall: float

    def cells(self) -> list[str]:
        times = [
            percentile(values, percent)
            for values in (self.times_ms, self.cpu_ms)
            for percent in (50, 99)
        ]
        return [
            _TITLES[self.name],
            "-" if self.build_s is None else f"{self.build_s:,.0f}",
            f"{self.own_mib:,.0f}",
            f"{self.mapped_mib:,.0f}",
            *(f"{value:.2f}" for value in times),
            f"{self.recall:.4f}",
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every number of vectors that was asked for, and writes the report."""
    options = _options(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    parts = options.folder / "sentences"
    most = max(options.vectors) + vector_data.QUERIES
    vector_data.embed(options.text, parts, min(most, options.sentences or most))
    sections = [
        _measure_all(options, parts, count, min(most, options.sentences or most))
        for count in options.vectors
    ]
    report = options.folder / "report.md"
    report.write_text("\n\n".join([_head(options), *sections]) + "\n", encoding="utf-8")
    print(f"the report is in {os.path.relpath(report)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vector_search", description=__doc__)
    parser.add_argument("text", type=Path, help="sentences, one a line, perhaps packed by gzip")
    parser.add_argument(
        "--vectors", type=int, nargs="+", default=[100_000, 1_000_000], help="how many to index"
    )
    parser.add_argument(
        "--sentences", type=int, help="most sentences to embed; the rest are noised copies"
    )
    parser.add_argument("--contenders", nargs="+", choices=list(_TITLES), default=list(_TITLES))
    parser.add_argument("--neighbours", type=int, default=NEIGHBOURS, help="M, of the peers")
    parser.add_argument("--ef-construction", type=int, default=EF_CONSTRUCTION)
    parser.add_argument("--ef-search", type=int, default=EF_SEARCH)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=HERE / "results" / "vector-search")
    return parser.parse_args(arguments)


def _measure_all(options: argparse.Namespace, parts: Path, count: int, sentences: int) -> str:
    folder = options.folder / str(count)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    vectors, queries, real = vector_data.make(parts, sentences, count, folder / "data.npy")
    np.save(folder / "queries.npy", queries)
    parameters = Parameters(
        options.neighbours, options.ef_construction, options.ef_search, options.threads
    )
    (folder / "parameters.json").write_text(json.dumps(asdict(parameters)))
    truth = vector_data.exact_neighbours(vectors, queries, K)
    rows, notes = [], []
    for name in options.contenders:
        try:
            rows.append(_measure(name, folder, truth))
        except CannotInstall as error:
            notes.append(f"`{name}` is left out: it cannot be installed: {error}")
            continue
        print(" | ".join(rows[-1].cells()), flush=True)
    (folder / "report.json").write_text(json.dumps([asdict(row) for row in rows]))
    lines = [
        f"## {count:,} vectors of {vectors.shape[1]}",
        "",
        f"{real:,} of sentences, {count - real:,} noised copies of these; {len(queries):,} queries "
        "of other sentences.",
        *notes,
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" + "|---:" * (len(_COLUMNS) - 1) + "|",
        *(f"| {' | '.join(row.cells())} |" for row in rows),
    ]
    return "\n".join(lines)


def _measure(name: str, folder: Path, truth: Any) -> Row:
    python = python_of("hnswlib") if name == "hnswlib" else OUR_BIN / "python"
    built = _run(python, name, "build", folder)
    found = _run(python, name, "search", folder)
    shared = sum(
        len(set(rows) & set(true)) for rows, true in zip(found["rows"], truth.tolist(), strict=True)
    )
    build_s = built["build_s"] - built.get("store_s", 0)
    if "store_s" in built:
        print(f"the store took {built['store_s']:.0f} s to write", flush=True)
    return Row(
        name=name,
        build_s=None if name in {"collection", "exact"} else build_s,
        own_mib=found["own_mib"],
        mapped_mib=found["mapped_mib"],
        times_ms=found["times_ms"],
        cpu_ms=found["cpu_ms"],
        recall=shared / truth.size,
    )


def _run(python: Path, name: str, action: str, folder: Path) -> Any:
    command = [str(python), "-m", "benchmarks.contender", name, action, str(folder)]
    done = subprocess.run(  # noqa: S603
        command, stdout=subprocess.PIPE, encoding="utf-8", check=True, cwd=ROOT
    )
    return json.loads(done.stdout)


def _head(options: argparse.Namespace) -> str:
    lines = [
        "# Vector search",
        "",
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M UTC}",
        f"- machine: {len(os.sched_getaffinity(0))} cores, load average "
        f"{', '.join(f'{load:.1f}' for load in os.getloadavg())}",
        f"- the peers' graph: M {options.neighbours}, efConstruction {options.ef_construction}, "
        f"efSearch {options.ef_search}; built by {options.threads} threads",
        f"- ours: M {NEIGHBOURS}, efConstruction {EF_CONSTRUCTION}, efSearch {EF_SEARCH}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
