"""The truth about one collection: its documents, passages, vectors and keywords, in one file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import orjson

from inference.corpus.base import (
    Added,
    Document,
    DocumentPage,
    EmbeddedPassage,
    Filter,
    Identity,
    Ids,
    PassagePlace,
)
from inference.corpus.database import Database
from inference.corpus.filters import (
    AnyOf,
    Condition,
    NumberRange,
    Operator,
    metadata_values,
    parse_filter,
)
from inference.corpus.keywords import match_expression, tokens
from inference.corpus.vector_source import Changes, Generation, Mark
from inference.errors import Conflict, NotFound
from inference.similarity import Vectors

# "ssan" in ASCII: marks the file as a collection.
_APPLICATION_ID = 0x7373616E

# It counts up whenever the schema or the tokens of keywords change: what was indexed can be taken
# out of the keywords only by the same tokens.
_USER_VERSION = 1

# A vector of 384 floats is 1.5 KiB, and one of 1024 is 4 KiB: neither fits pages of 4 KiB well.
_PAGE_SIZE = 8192

# Numbers of rows are never used again (AUTOINCREMENT), so that an index that comes late mistakes
# no passage for another.
_SCHEMA = (
    "CREATE TABLE collection (created REAL NOT NULL)",
    """
    CREATE TABLE spaces (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        hash TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        precision TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('serving', 'building', 'retired'))
    )""",
    "CREATE UNIQUE INDEX one_space_a_state ON spaces (state) WHERE state != 'retired'",
    """
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        text TEXT NOT NULL,
        metadata TEXT NOT NULL,
        content_hash TEXT NOT NULL
    )""",
    # The metadata once more, as filters compare it: an index finds what a filter asks for.
    """
    CREATE TABLE metadata_values (
        document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        key TEXT NOT NULL,
        text TEXT NOT NULL,
        number REAL,
        PRIMARY KEY (document, key, text)
    ) WITHOUT ROWID""",
    "CREATE INDEX metadata_texts ON metadata_values (key, text)",
    "CREATE INDEX metadata_numbers ON metadata_values (key, number) WHERE number IS NOT NULL",
    """
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        space INTEGER NOT NULL REFERENCES spaces,
        document INTEGER NOT NULL REFERENCES documents,
        field TEXT NOT NULL,
        start INTEGER NOT NULL,
        "end" INTEGER NOT NULL,
        vector BLOB NOT NULL
    )""",
    "CREATE INDEX passages_of_documents ON passages (document)",
    "CREATE INDEX passages_of_spaces ON passages (space, document)",
    """
    CREATE TABLE removals (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        passage INTEGER NOT NULL
    )""",
    """
    CREATE TABLE generation (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        number INTEGER NOT NULL,
        space INTEGER NOT NULL,
        passage INTEGER NOT NULL,
        removal INTEGER NOT NULL
    )""",
    # By passage. The documents hold the text already (content=''), so that BM25 finds how often a
    # token occurs in the positions alone (detail=full), and lengths in sizes (columnsize=1).
    # tokens() folds letters and separates words by spaces; the tokenizer ascii only splits there,
    # while unicode61 would take accents off and split by its own, changing, tables.
    """
    CREATE VIRTUAL TABLE keywords USING fts5 (
        tokens, content='', detail=full, columnsize=1, tokenize='ascii'
    )""",
)

_OPERATORS: dict[Operator, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_FLOATS = np.dtype("<f4")

_DOCUMENT = "documents.id, documents.text, documents.title, documents.metadata"

Rows = Sequence[tuple[Document, Sequence[EmbeddedPassage]]]


@dataclass(frozen=True)
class Space:
    """The vectors of one model."""

    number: int
    identity: Identity


@dataclass(frozen=True)
class Counts:
    """How much there is.

    Attributes:
        documents: all of them.
        passages: those that are searched.
        rebuilt: documents that have vectors of the next model; None unless it is being built.
    """

    documents: int
    passages: int
    rebuilt: int | None

    @property
    def reembedded(self) -> float | None:
        """The share of the documents that have vectors of the next model."""
        if self.rebuilt is None:
            return None
        return self.rebuilt / self.documents if self.documents else 1.0


class Store:
    """A collection's file, used by any number of threads and processes at once.

    Passages lie in spaces, one for each model: the ``serving`` one is searched, a ``building`` one
    is filled until it takes the other's place, and ``retired`` ones wait to be deleted. Every
    document has passages in the serving space, and every write is one transaction.

    Args:
        path: of the file, which :meth:`create` makes. It is opened when it is first used, and must
            not be carried over a fork after that.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, application_id=_APPLICATION_ID, user_version=_USER_VERSION)
        # Where missing() goes on looking; only a hint.
        self._built_up_to = 0

    @classmethod
    def create(cls, path: Path) -> "Store":
        """The store in a file, which is made if there is none.

        Raises:
            InvalidInput: the file there is no collection.
            StorageFull: there is no room.
        """
        store = cls(path)
        created = f"INSERT INTO collection VALUES ({time.time()!r})"
        store._database.create([*_SCHEMA, created], page_size=_PAGE_SIZE)
        return store

    @property
    def created(self) -> float:
        """When it was made, in seconds of Unix time."""
        with self._database.read() as connection:
            seconds: float = connection.execute("SELECT created FROM collection").fetchone()[0]
            return seconds

    def close(self) -> None:
        """Closes the file, if it is open."""
        self._database.close()

    def backup(self, path: Path) -> None:
        """Writes a copy as of one moment, whatever is written meanwhile.

        Raises:
            StorageFull: there is no room for it.
        """
        self._database.backup(path)

    # Writing

    def check_identity(self, identity: Identity) -> None:
        """Makes sure that vectors of a model can be put in and searched with.

        Raises:
            Conflict: the collection's are of another model.
        """
        _check_identity(self.serving(), identity)

    def unchanged(self, documents: Sequence[Document]) -> set[str]:
        """The ids of those that are there already, with the same content."""
        hashes = {document.id: document.content_hash for document in documents}
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, content_hash FROM documents WHERE id IN {_EACH}", [_json(list(hashes))]
            )
            return {id_ for id_, content_hash in rows if hashes[id_] == content_hash}

    def put(self, rows: Rows, identity: Identity) -> Added:
        """Puts documents in with their passages, all or nothing; what this returns is on the disk.

        Args:
            rows: each with at least one passage; of one id twice, the last counts.
            identity: what made the vectors.

        Raises:
            Conflict: the collection's vectors are of another model.
            StorageFull: there is no room; nothing was put in.
        """
        result = Added([], [], [])
        wanted = {document.id: (document, passages) for document, passages in rows}
        if not wanted:
            return result
        with self._database.write() as connection:
            space = _space(connection, "serving")
            if space is None:
                space = _add_space(connection, identity, "serving")
            _check_identity(space, identity)
            new: list[tuple[int, Document, Sequence[EmbeddedPassage]]] = []
            for document, passages in wanted.values():
                known = connection.execute(
                    "SELECT number, content_hash FROM documents WHERE id = ?", [document.id]
                ).fetchone()
                if known is not None and known[1] == document.content_hash:
                    result.unchanged.append(document.id)
                    continue
                if known is not None:
                    _remove_passages(connection, [known[0]])
                number = _write_document(connection, known and known[0], document)
                new.append((number, document, passages))
                (result.added if known is None else result.replaced).append(document.id)
            _add_passages(connection, space, new)
        return result

    def remove(self, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""
        with self._database.write() as connection:
            rows = connection.execute(
                f"SELECT number FROM documents WHERE id IN {_EACH}", [_json(list(ids))]
            )
            numbers = [number for (number,) in rows]
            _remove_passages(connection, numbers)
            connection.execute(f"DELETE FROM documents WHERE number IN {_EACH}", [_json(numbers)])
            if connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
                # An empty collection takes the vectors of any model.
                _retire(connection, "serving")
        return len(numbers)

    # Documents

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {_DOCUMENT} FROM documents WHERE id = ?", [document_id]
            ).fetchone()
        if row is None:
            raise NotFound("There is no document of this id in the collection.", item="id")
        return _document(*row)

    def list_documents(
        self, *, offset: int = 0, limit: int = 50, where: Filter | None = None
    ) -> DocumentPage:
        """Some documents in the order in which they came; a replaced one keeps its place."""
        condition, values = _sql("number", parse_filter(where))
        with self._database.read() as connection:
            (total,) = connection.execute(
                f"SELECT count(*) FROM documents WHERE {condition}", values
            ).fetchone()
            rows = connection.execute(
                f"SELECT {_DOCUMENT} FROM documents WHERE {condition} "
                "ORDER BY number LIMIT ? OFFSET ?",
                [*values, limit, offset],
            )
            return DocumentPage([_document(*row) for row in rows], total)

    def iterate(self) -> Iterator[Document]:
        """All documents in that order, as of the moment of the first."""
        with self._database.read() as connection:
            for row in connection.execute(f"SELECT {_DOCUMENT} FROM documents ORDER BY number"):
                yield _document(*row)

    def documents_of(self, numbers: Sequence[int]) -> dict[int, Document]:
        """Documents by their numbers, without those that are gone."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT number, {_DOCUMENT} FROM documents WHERE number IN {_EACH}",
                [_json(list(numbers))],
            )
            return {number: _document(*row) for number, *row in rows}

    def counts(self) -> Counts:
        """How much there is."""
        with self._database.read() as connection:
            (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
            (passages,) = connection.execute(
                f"SELECT count(*) FROM passages WHERE space = {_SERVING}"
            ).fetchone()
            building = _space(connection, "building")
            if building is None:
                return Counts(documents, passages, None)
            (rebuilt,) = connection.execute(
                "SELECT count(DISTINCT document) FROM passages WHERE space = ?", [building.number]
            ).fetchone()
            return Counts(documents, passages, rebuilt)

    # Searching

    def places(self, passages: Sequence[int]) -> dict[int, tuple[int, PassagePlace]]:
        """The document's number and the place in it by passage, without passages that are gone."""
        with self._database.read() as connection:
            rows = connection.execute(
                f'SELECT id, document, field, start, "end" FROM passages WHERE id IN {_EACH}',
                [_json(list(passages))],
            )
            return {passage: (document, PassagePlace(*place)) for passage, document, *place in rows}

    def match(self, where: Filter) -> Ids:
        """The searched passages (n,), rising, of the documents that a filter holds for.

        Raises:
            InvalidInput: the filter cannot be used.
        """
        condition, values = _sql("document", parse_filter(where))
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id FROM passages WHERE space = {_SERVING} AND {condition}", values
            )
            return np.sort(_ids(rows))

    def keyword_search(
        self, query: str, limit: int, where: Filter | None = None
    ) -> list[tuple[int, float]]:
        """The searched passages that hold most of a query's words, with BM25 scores, best first.

        Raises:
            InvalidInput: the filter cannot be used.
        """
        condition, values = _sql("passages.document", parse_filter(where))
        expression = match_expression(query)
        if not expression:
            return []
        with self._database.read() as connection:
            # Its rank is the negative score. The order of the join is that of the ranking, which
            # ends at the limit.
            rows = connection.execute(
                "SELECT keywords.rowid, -keywords.rank FROM keywords "
                "CROSS JOIN passages ON passages.id = keywords.rowid "
                f"WHERE keywords MATCH ? AND passages.space = {_SERVING} AND {condition} "
                "ORDER BY keywords.rank LIMIT ?",
                [expression, *values, limit],
            ).fetchall()
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def vectors_of(self, passages: Sequence[int] | Ids) -> tuple[Ids, Vectors]:
        """The numbers (n,), rising, and vectors (n, dim) of searched passages that are there."""
        wanted = [int(passage) for passage in passages]
        with self._database.read() as connection:
            space = _space(connection, "serving")
            if space is None:
                return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
            rows = connection.execute(
                f"SELECT id, vector FROM passages WHERE id IN {_EACH} AND space = ? ORDER BY id",
                [_json(wanted), space.number],
            ).fetchall()
        return _arrays(rows, space.identity.dimension)

    # The source of an index: see VectorSource

    def version(self) -> int:
        """A number that changes with every commit, of any process; cheap."""
        return self._database.version()

    def serving_space(self) -> tuple[int, int] | None:
        """Number and dimension of the space that is searched; None while there are no vectors."""
        space = self.serving()
        return (space.number, space.identity.dimension) if space else None

    def changes(self, space: int, since: Mark, limit: int | None = None) -> Changes:
        """What was written to a space since a mark, at most ``limit`` passages."""
        with self._database.read() as connection:
            (dimension,) = connection.execute(
                "SELECT dimension FROM spaces WHERE number = ?", [space]
            ).fetchone()
            # One more than the limit tells whether there are more. By id: what is new is at the
            # end, and what is all of a space is read best as it lies.
            rows = connection.execute(
                "SELECT id, vector FROM passages WHERE id > ? AND +space = ? ORDER BY id LIMIT ?",
                [since.passage, space, -1 if limit is None else limit + 1],
            ).fetchall()
            removals = connection.execute(
                "SELECT number, passage FROM removals WHERE number > ? ORDER BY number",
                [since.removal],
            ).fetchall()
        more = limit is not None and len(rows) > limit
        ids, vectors = _arrays(rows[:limit], dimension)
        mark = Mark(
            passage=rows[len(ids) - 1][0] if len(ids) else since.passage,
            removal=removals[-1][0] if removals else since.removal,
        )
        return Changes(ids, vectors, _ids((row[1],) for row in removals), mark, more)

    def generation(self) -> Generation | None:
        """The index that was published last."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT number, space, passage, removal FROM generation"
            ).fetchone()
        return Generation(row[0], row[1], Mark(row[2], row[3])) if row else None

    def publish(self, generation: Generation) -> None:
        """Makes an index the one that is used, unless a newer one is already.

        Removals up to its mark are forgotten.
        """
        mark = generation.mark
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT INTO generation VALUES (1, ?, ?, ?, ?) ON CONFLICT (only) DO UPDATE "
                "SET number = excluded.number, space = excluded.space, "
                "passage = excluded.passage, removal = excluded.removal "
                "WHERE excluded.number > generation.number",
                [generation.number, generation.space, mark.passage, mark.removal],
            )
            if cursor.rowcount:
                connection.execute("DELETE FROM removals WHERE number <= ?", [mark.removal])

    # Re-embedding

    def serving(self) -> Space | None:
        """The space that is searched; None while there are no documents."""
        with self._database.read() as connection:
            return _space(connection, "serving")

    def building(self) -> Space | None:
        """The space that is to be searched next; None unless it is being built."""
        with self._database.read() as connection:
            return _space(connection, "building")

    def begin_building(self, identity: Identity) -> None:
        """Begins a space for a model, or goes on with one that is being built for it."""
        with self._database.write() as connection:
            space = _space(connection, "building")
            if space is not None and space.identity.matches(identity):
                return
            _retire(connection, "building")
            _add_space(connection, identity, "building")
        self._built_up_to = 0

    def stop_building(self) -> None:
        """Gives up the space that is being built, if there is one."""
        with self._database.write() as connection:
            _retire(connection, "building")

    def missing(self, limit: int) -> list[Document]:
        """Some documents without passages in the space that is being built; none if it is whole."""
        with self._database.read() as connection:
            found = _missing(connection, self._built_up_to, limit)
            if not found:
                # Those before were replaced meanwhile, or could not be embedded.
                found = _missing(connection, 0, limit)
        if found:
            self._built_up_to = found[-1][0]
        return [document for _, document in found]

    def add_built(self, rows: Rows) -> None:
        """Puts passages into the space that is being built.

        Documents that were replaced or removed since they were read, or have passages there, are
        passed over.

        Raises:
            Conflict: no space is being built.
            StorageFull: there is no room; nothing was put in.
        """
        with self._database.write() as connection:
            space = _space(connection, "building")
            if space is None:
                raise Conflict("The collection is not being embedded anew: begin that first.")
            new: list[tuple[int, Document, Sequence[EmbeddedPassage]]] = []
            for document, passages in rows:
                row = connection.execute(
                    "SELECT number FROM documents WHERE id = ? AND content_hash = ? AND NOT EXISTS "
                    "(SELECT 1 FROM passages WHERE space = ? AND document = number)",
                    [document.id, document.content_hash, space.number],
                ).fetchone()
                if row is not None:
                    new.append((row[0], document, passages))
            _add_passages(connection, space, new)

    def serve_building(self) -> bool:
        """Searches the space that was built from now on; False while documents are missing in it.

        True, too, when none is being built any more.
        """
        with self._database.write() as connection:
            if _missing(connection, 0, 1):
                return False
            if _space(connection, "building") is not None:
                _retire(connection, "serving")
                connection.execute("UPDATE spaces SET state = 'serving' WHERE state = 'building'")
        return True

    def drop_unserved(self, limit: int) -> bool:
        """Deletes at most ``limit`` passages of retired spaces, and says whether there are more."""
        with self._database.write() as connection:
            rows = connection.execute(
                "SELECT id FROM passages "
                "WHERE space IN (SELECT number FROM spaces WHERE state = 'retired') LIMIT ?",
                [limit],
            )
            passages = [passage for (passage,) in rows]
            _delete_passages(connection, passages)
        return len(passages) == limit


# The elements of a list that is bound as JSON, of any length.
_EACH = "(SELECT value FROM json_each(?))"

_SERVING = "(SELECT number FROM spaces WHERE state = 'serving')"


def _json(values: list[Any]) -> str:
    return orjson.dumps(values).decode()


def _sql(column: str, conditions: Sequence[Condition]) -> tuple[str, list[str | float]]:
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


def _space(connection: Connection, state: str) -> Space | None:
    row = connection.execute(
        "SELECT number, model, hash, dimension, precision FROM spaces WHERE state = ?", [state]
    ).fetchone()
    return Space(row[0], Identity(*row[1:])) if row else None


def _add_space(connection: Connection, identity: Identity, state: str) -> Space:
    cursor = connection.execute(
        "INSERT INTO spaces (model, hash, dimension, precision, state) VALUES (?, ?, ?, ?, ?)",
        [identity.model, identity.hash, identity.dimension, identity.precision, state],
    )
    assert cursor.lastrowid is not None
    return Space(cursor.lastrowid, identity)


def _retire(connection: Connection, state: str) -> None:
    connection.execute("UPDATE spaces SET state = 'retired' WHERE state = ?", [state])


def _check_identity(space: Space | None, identity: Identity) -> None:
    if space is None or space.identity.matches(identity):
        return
    raise Conflict(
        f"The collection's vectors are of the model {space.identity.model}, and the model "
        f"{identity.model} is loaded: embed the collection anew with ssang collections reembed, or "
        "load the other model."
    )


def _write_document(connection: Connection, number: int | None, document: Document) -> int:
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


def _add_passages(
    connection: Connection,
    space: Space,
    rows: Sequence[tuple[int, Document, Sequence[EmbeddedPassage]]],
) -> None:
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


def _remove_passages(connection: Connection, documents: list[int]) -> None:
    """Deletes the passages of documents in every space, and notes it for indexes."""
    rows = connection.execute(
        f"SELECT id FROM passages WHERE document IN {_EACH}", [_json(documents)]
    )
    passages = [passage for (passage,) in rows]
    connection.executemany(
        "INSERT INTO removals (passage) VALUES (?)", [(passage,) for passage in passages]
    )
    _delete_passages(connection, passages)


def _delete_passages(connection: Connection, passages: list[int]) -> None:
    """Deletes passages with their keywords, whose tokens their documents must still hold.

    https://www.sqlite.org/fts5.html#the_delete_command
    """
    rows = connection.execute(
        "SELECT passages.id, CASE field WHEN 'title' THEN title ELSE text END, start, \"end\" "
        "FROM passages JOIN documents ON documents.number = document "
        f"WHERE passages.id IN {_EACH}",
        [_json(passages)],
    ).fetchall()
    connection.executemany(
        "INSERT INTO keywords (keywords, rowid, tokens) VALUES ('delete', ?, ?)",
        [(passage, _words(text, start, end)) for passage, text, start, end in rows],
    )
    connection.execute(f"DELETE FROM passages WHERE id IN {_EACH}", [_json(passages)])


def _missing(connection: Connection, after: int, limit: int) -> list[tuple[int, Document]]:
    """Documents behind a number, with theirs, that have no passages in the space being built."""
    building = _space(connection, "building")
    if building is None:
        return []
    rows = connection.execute(
        f"SELECT number, {_DOCUMENT} FROM documents WHERE number > ? AND NOT EXISTS "
        "(SELECT 1 FROM passages WHERE space = ? AND document = number) ORDER BY number LIMIT ?",
        [after, building.number, limit],
    )
    return [(number, _document(*row)) for number, *row in rows]


def _document(document_id: str, text: str, title: str, metadata: str) -> Document:
    return Document(document_id, text, title, orjson.loads(metadata))


def _words(text: str, start: int, end: int) -> str:
    return " ".join(tokens(text[start:end]))


def _blob(vector: Vectors, dimension: int) -> bytes:
    if vector.shape != (dimension,):
        raise ValueError(f"A vector of shape {vector.shape} is none of {dimension} numbers.")
    return vector.astype(_FLOATS).tobytes()


def _ids(rows: Any) -> Ids:
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def _arrays(rows: list[tuple[int, bytes]], dimension: int) -> tuple[Ids, Vectors]:
    vectors = np.frombuffer(b"".join(vector for _, vector in rows), dtype=_FLOATS)
    return _ids(rows), vectors.reshape(len(rows), dimension).astype(np.float32, copy=False)
