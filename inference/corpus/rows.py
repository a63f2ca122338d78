"""Rows of a collection's tables, within a transaction that the store began."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Literal

import numpy as np
import orjson

from inference.corpus.base import Document, EmbeddedPassage, Identity, Ids
from inference.corpus.filters import AnyOf, Condition, NumberRange, Operator, metadata_values
from inference.corpus.keywords import tokens
from inference.similarity import Vectors

_OPERATORS: dict[Operator, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_FLOATS = np.dtype("<f4")

# The columns that `read_document` takes.
DOCUMENT = "documents.id, documents.text, documents.title, documents.metadata"

State = Literal["serving", "building"]


@dataclass(frozen=True)
class Space:
    """The vectors of one model."""

    number: int
    identity: Identity


# The elements of a list that is bound as JSON, of any length.
EACH = "(SELECT value FROM json_each(?))"

SERVING = "(SELECT number FROM spaces WHERE state = 'serving')"


def listed(values: Sequence[object]) -> str:
    """What :data:`EACH` takes for a list."""
    return orjson.dumps(list(values)).decode()


def condition_sql(column: str, conditions: Sequence[Condition]) -> tuple[str, list[str | float]]:
    """An expression that the document in a column satisfies conditions, and what to bind in it."""
    parts = ["TRUE"]
    values: list[str | float] = []
    for condition in conditions:
        values.append(condition.key)
        if isinstance(condition, AnyOf):
            test = f"text IN ({', '.join('?' * len(condition.texts))})"
            values.extend(condition.texts)
        else:
            compared = "number" if isinstance(condition, NumberRange) else "text"
            test = " AND ".join(f"{compared} {_OPERATORS[name]} ?" for name, _ in condition.bounds)
            values.extend(bound for _, bound in condition.bounds)
        parts.append(f"{column} IN (SELECT document FROM metadata_values WHERE key = ? AND {test})")
    return " AND ".join(parts), values


def find_space(connection: Connection, state: State) -> Space | None:
    """The space that is serving, or building."""
    row = connection.execute(
        "SELECT number, model, hash, dimension, precision FROM spaces WHERE state = ?", [state]
    ).fetchone()
    return Space(row[0], Identity(*row[1:])) if row else None


def add_space(connection: Connection, identity: Identity, state: State) -> Space:
    """Makes a space for a model."""
    cursor = connection.execute(
        "INSERT INTO spaces (model, hash, dimension, precision, state) VALUES (?, ?, ?, ?, ?)",
        [identity.model, identity.hash, identity.dimension, identity.precision, state],
    )
    assert cursor.lastrowid is not None
    return Space(cursor.lastrowid, identity)


def retire(connection: Connection, state: State) -> None:
    """Leaves a space to be deleted; its passages are not searched any more."""
    connection.execute("UPDATE spaces SET state = 'retired' WHERE state = ?", [state])


def write_document(connection: Connection, number: int | None, document: Document) -> int:
    """Writes a document, in the place of the one with a number if there is one; its number."""
    values = [
        document.title,
        document.text,
        orjson.dumps(document.metadata).decode(),
        document.content_hash,
    ]
    if number is None:
        number = connection.execute(
            "INSERT INTO documents (id, title, text, metadata, content_hash) "
            "VALUES (?, ?, ?, ?, ?)",
            [document.id, *values],
        ).lastrowid
        assert number is not None
    else:
        connection.execute(
            "UPDATE documents SET title = ?, text = ?, metadata = ?, content_hash = ? "
            "WHERE number = ?",
            [*values, number],
        )
        connection.execute("DELETE FROM metadata_values WHERE document = ?", [number])
    connection.executemany(
        # Two keys may be one in normal form.
        "INSERT OR IGNORE INTO metadata_values VALUES (?, ?, ?, ?)",
        [(number, row.key, row.text, row.number) for row in metadata_values(document.metadata)],
    )
    return number


def add_passages(
    connection: Connection,
    space: Space,
    rows: Sequence[tuple[int, Document, Sequence[EmbeddedPassage]]],
) -> None:
    """Puts the passages of documents, given with their numbers, into a space."""
    first = connection.execute(
        "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'passages'"
    ).fetchone()[0]
    stored: list[tuple[object, ...]] = []
    worded: list[tuple[int, str]] = []
    for number, document, passages in rows:
        if not passages:
            raise ValueError("A document without passages would never be found.")
        for passage in passages:
            id_ = first + len(stored)
            place = (passage.field, passage.start, passage.end)
            vector = _blob(passage.vector, space.identity.dimension)
            stored.append((id_, space.number, number, *place, vector))
            worded.append((id_, _words(document.part(passage.field), passage.start, passage.end)))
    connection.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)", stored)
    connection.executemany("INSERT INTO keywords (rowid, tokens) VALUES (?, ?)", worded)


def remove_passages(connection: Connection, documents: list[int]) -> None:
    """Deletes the passages of documents in every space, and notes it for indexes."""
    rows = connection.execute(
        f"SELECT id FROM passages WHERE document IN {EACH}", [listed(documents)]
    )
    passages = [passage for (passage,) in rows]
    connection.executemany(
        "INSERT INTO removals (passage) VALUES (?)", [(passage,) for passage in passages]
    )
    delete_passages(connection, passages)


def delete_passages(connection: Connection, passages: list[int]) -> None:
    """Deletes passages with their keywords, whose tokens their documents must still hold.

    https://www.sqlite.org/fts5.html#the_delete_command
    """
    rows = connection.execute(
        "SELECT passages.id, CASE field WHEN 'title' THEN title ELSE text END, start, \"end\" "
        "FROM passages JOIN documents ON documents.number = document "
        f"WHERE passages.id IN {EACH}",
        [listed(passages)],
    ).fetchall()
    connection.executemany(
        "INSERT INTO keywords (keywords, rowid, tokens) VALUES ('delete', ?, ?)",
        [(passage, _words(text, start, end)) for passage, text, start, end in rows],
    )
    connection.execute(f"DELETE FROM passages WHERE id IN {EACH}", [listed(passages)])


def documents_without_passages(
    connection: Connection, after: int, limit: int
) -> list[tuple[int, Document]]:
    """Documents behind a number, with theirs, that have no passages in the space being built."""
    building = find_space(connection, "building")
    if building is None:
        return []
    rows = connection.execute(
        f"SELECT number, {DOCUMENT} FROM documents WHERE number > ? AND NOT EXISTS "
        "(SELECT 1 FROM passages WHERE space = ? AND document = number) ORDER BY number LIMIT ?",
        [after, building.number, limit],
    )
    return [(number, read_document(*row)) for number, *row in rows]


def read_document(document_id: str, text: str, title: str, metadata: str) -> Document:
    """A document of its columns."""
    return Document(document_id, text, title, orjson.loads(metadata))


def _words(text: str, start: int, end: int) -> str:
    return " ".join(tokens(text[start:end]))


def _blob(vector: Vectors, dimension: int) -> bytes:
    if vector.shape != (dimension,):
        raise ValueError(f"A vector of shape {vector.shape} is none of {dimension} numbers.")
    return vector.astype(_FLOATS).tobytes()


def read_ids(numbers: Iterable[int]) -> Ids:
    """Numbers as an array (n,)."""
    return np.fromiter(numbers, dtype=np.int64)


def read_vectors(rows: Sequence[tuple[int, bytes]], dimension: int) -> tuple[Ids, Vectors]:
    """The numbers (n,) and vectors (n, dim) of passages."""
    vectors = np.frombuffer(b"".join(vector for _, vector in rows), dtype=_FLOATS)
    ids = read_ids(passage for passage, _ in rows)
    return ids, vectors.reshape(len(rows), dimension).astype(np.float32, copy=False)
