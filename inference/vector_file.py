"""Files of vectors: NumPy, JSON Lines and Parquet, written part by part."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import orjson

from inference.errors import InvalidInput
from inference.similarity import Vectors

NumberedTexts = Iterable[tuple[int, str]]


def check_vector_file(path: Path) -> None:
    """Refuses a path that could not be written in the end.

    Raises:
        InvalidInput: an ending that is none of a known format, or a library is missing.
    """
    if path.suffix not in _WRITERS:
        raise InvalidInput(
            f"The ending of {path.name} tells the format: it must be {', '.join(_WRITERS)}."
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise InvalidInput(
                "Parquet needs pyarrow: pip install 'ssang[parquet]', or write .npy or .jsonl."
            ) from error


def write_vector_file(
    path: Path,
    parts: Iterable[Vectors],
    texts: NumberedTexts,
    *,
    suffix: str,
    shape: tuple[int, int],
) -> None:
    """Writes vectors with, except in NumPy's format, their texts.

    Args:
        path: where to.
        parts: vectors (n, dim) in their order.
        texts: number and text of each vector.
        suffix: ``.npy``, ``.jsonl`` or ``.parquet``.
        shape: vectors of all parts, and their width.
    """
    _WRITERS[suffix](path, parts, iter(texts), shape)


def _write_npy(
    path: Path, parts: Iterable[Vectors], texts: Iterator[tuple[int, str]], shape: tuple[int, int]
) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for vectors in parts:
            file.write(vectors.tobytes())


def _write_jsonl(
    path: Path, parts: Iterable[Vectors], texts: Iterator[tuple[int, str]], shape: tuple[int, int]
) -> None:
    with path.open("wb") as file:
        for vectors in parts:
            for (number, text), vector in zip(islice(texts, len(vectors)), vectors, strict=True):
                line = {"row": number, "text": text, "embedding": vector}
                option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
                file.write(orjson.dumps(line, option=option))


def _write_parquet(
    path: Path, parts: Iterable[Vectors], texts: Iterator[tuple[int, str]], shape: tuple[int, int]
) -> None:
    import pyarrow as arrow
    from pyarrow.parquet import ParquetWriter

    schema = arrow.schema(
        [
            ("row", arrow.int64()),
            ("text", arrow.string()),
            ("embedding", arrow.list_(arrow.float32(), shape[1])),
        ]
    )
    with ParquetWriter(path, schema) as writer:
        for vectors in parts:
            numbers, rows = zip(*islice(texts, len(vectors)), strict=True)
            embedding = arrow.FixedSizeListArray.from_arrays(vectors.ravel(), shape[1])
            writer.write_table(arrow.table([numbers, rows, embedding], schema=schema))


_WRITERS: dict[
    str, Callable[[Path, Iterable[Vectors], Iterator[tuple[int, str]], tuple[int, int]], None]
] = {".npy": _write_npy, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
