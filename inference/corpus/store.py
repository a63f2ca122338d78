"""The truth about one collection: its documents, passages, vectors and keywords, in one file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.corpus.base import (
    Added,
    Document,
    DocumentPage,
    EmbeddedPassage,
    Filter,
    Identity,
    Ids,
    PassagePlace,
    check_identity,
)
from inference.corpus.database import Database
from inference.corpus.filters import parse_filter
from inference.corpus.keywords import match_expression
from inference.corpus.rows import (
    DOCUMENT,
    EACH,
    SERVING,
    Space,
    add_passages,
    add_space,
    condition_sql,
    delete_passages,
    documents_without_passages,
    find_space,
    listed,
    read_document,
    read_ids,
    read_vectors,
    remove_passages,
    retire,
    write_document,
)
from inference.corpus.schema import APPLICATION_ID, PAGE_SIZE, SCHEMA, USER_VERSION
from inference.corpus.vector_source import Changes, Generation, Mark
from inference.errors import Conflict, NotFound

Rows = Sequence[tuple[Document, Sequence[EmbeddedPassage]]]


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
        self._database = Database(path, application_id=APPLICATION_ID, user_version=USER_VERSION)
        # Where missing() goes on looking; only a hint.
        self._built_up_to = 0
        # As of a version of the file.
        self._serving: tuple[int, Space | None] | None = None

    @classmethod
    def create(cls, path: Path) -> "Store":
        """The store in a file, which is made if there is none.

        Raises:
            InvalidInput: the file there is no collection.
            StorageFull: there is no room.
        """
        store = cls(path)
        created = f"INSERT INTO collection VALUES ({time.time()!r})"
        store._database.create([*SCHEMA, created], page_size=PAGE_SIZE)
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
        serving = self.serving()
        if serving is not None:
            check_identity(serving.identity, identity)

    def unchanged(self, documents: Sequence[Document]) -> set[str]:
        """The ids of those that are there already, with the same content."""
        hashes = {document.id: document.content_hash for document in documents}
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id, content_hash FROM documents WHERE id IN {EACH}",
                [listed(list(hashes))],
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
            space = find_space(connection, "serving")
            if space is None:
                space = add_space(connection, identity, "serving")
            check_identity(space.identity, identity)
            new: list[tuple[int, Document, Sequence[EmbeddedPassage]]] = []
            for document, passages in wanted.values():
                known = connection.execute(
                    "SELECT number, content_hash FROM documents WHERE id = ?", [document.id]
                ).fetchone()
                if known is not None and known[1] == document.content_hash:
                    result.unchanged.append(document.id)
                    continue
                if known is not None:
                    remove_passages(connection, [known[0]])
                number = write_document(connection, known and known[0], document)
                new.append((number, document, passages))
                (result.added if known is None else result.replaced).append(document.id)
            add_passages(connection, space, new)
        return result

    def remove(self, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""
        with self._database.write() as connection:
            rows = connection.execute(
                f"SELECT number FROM documents WHERE id IN {EACH}", [listed(ids)]
            )
            numbers = [number for (number,) in rows]
            remove_passages(connection, numbers)
            connection.execute(f"DELETE FROM documents WHERE number IN {EACH}", [listed(numbers)])
            if connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None:
                # An empty collection takes the vectors of any model.
                retire(connection, "serving")
        return len(numbers)

    # Documents

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {DOCUMENT} FROM documents WHERE id = ?", [document_id]
            ).fetchone()
        if row is None:
            raise NotFound("There is no document of this id in the collection.", item="id")
        return read_document(*row)

    def list_documents(
        self, *, offset: int = 0, limit: int = 50, where: Filter | None = None
    ) -> DocumentPage:
        """Some documents in the order in which they came; a replaced one keeps its place."""
        condition, values = condition_sql("number", parse_filter(where))
        with self._database.read() as connection:
            (total,) = connection.execute(
                f"SELECT count(*) FROM documents WHERE {condition}", values
            ).fetchone()
            rows = connection.execute(
                f"SELECT {DOCUMENT} FROM documents WHERE {condition} "
                "ORDER BY number LIMIT ? OFFSET ?",
                [*values, limit, offset],
            )
            return DocumentPage([read_document(*row) for row in rows], total)

    def iterate(self) -> Iterator[Document]:
        """All documents in that order, as of the moment of the first."""
        with self._database.read() as connection:
            for row in connection.execute(f"SELECT {DOCUMENT} FROM documents ORDER BY number"):
                yield read_document(*row)

    def counts(self) -> Counts:
        """How much there is."""
        with self._database.read() as connection:
            (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
            (passages,) = connection.execute(
                f"SELECT count(*) FROM passages WHERE space = {SERVING}"
            ).fetchone()
            building = find_space(connection, "building")
            if building is None:
                return Counts(documents, passages, None)
            (rebuilt,) = connection.execute(
                "SELECT count(DISTINCT document) FROM passages WHERE space = ?", [building.number]
            ).fetchone()
            return Counts(documents, passages, rebuilt)

    # Searching

    def owners(self, passages: Sequence[int]) -> dict[int, int]:
        """The number of each passage's document, without passages that are gone."""
        with self._database.read() as connection:
            return dict(
                connection.execute(
                    f"SELECT id, document FROM passages WHERE id IN {EACH}", [listed(passages)]
                ).fetchall()
            )

    def places(self, passages: Sequence[int]) -> dict[int, tuple[Document, PassagePlace]]:
        """The document of each passage and the place in it, without passages that are gone.

        Both are of one moment: a document that is replaced has other passages.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                f'SELECT passages.id, {DOCUMENT}, field, start, "end" FROM passages '
                "JOIN documents ON documents.number = passages.document "
                f"WHERE passages.id IN {EACH}",
                [listed(passages)],
            )
            return {
                passage: (read_document(*row[:4]), PassagePlace(*row[4:])) for passage, *row in rows
            }

    def match(self, where: Filter) -> Ids:
        """The searched passages (n,), rising, of the documents that a filter holds for.

        Raises:
            InvalidInput: the filter cannot be used.
        """
        condition, values = condition_sql("document", parse_filter(where))
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT id FROM passages WHERE space = {SERVING} AND {condition}", values
            )
            return np.sort(read_ids(passage for (passage,) in rows))

    def keyword_search(
        self, query: str, limit: int, where: Filter | None = None
    ) -> list[tuple[int, float]]:
        """The searched passages that hold most of a query's words, with BM25 scores, best first.

        Raises:
            InvalidInput: the filter cannot be used.
        """
        condition, values = condition_sql("passages.document", parse_filter(where))
        expression = match_expression(query)
        if not expression:
            return []
        with self._database.read() as connection:
            # Its rank is the negative score. The order of the join is that of the ranking, which
            # ends at the limit.
            rows = connection.execute(
                "SELECT keywords.rowid, -keywords.rank FROM keywords "
                "CROSS JOIN passages ON passages.id = keywords.rowid "
                f"WHERE keywords MATCH ? AND passages.space = {SERVING} AND {condition} "
                "ORDER BY keywords.rank LIMIT ?",
                [expression, *values, limit],
            ).fetchall()
        return sorted(rows, key=lambda row: (-row[1], row[0]))

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
        ids, vectors = read_vectors(rows[:limit], dimension)
        mark = Mark(
            passage=rows[len(ids) - 1][0] if len(ids) else since.passage,
            removal=removals[-1][0] if removals else since.removal,
        )
        return Changes(ids, vectors, read_ids(passage for _, passage in removals), mark, more)

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
        version = self._database.version()
        # Every search asks for it, and it hardly ever changes.
        if self._serving is None or self._serving[0] != version:
            with self._database.read() as connection:
                self._serving = version, find_space(connection, "serving")
        return self._serving[1]

    def building(self) -> Space | None:
        """The space that is to be searched next; None unless it is being built."""
        with self._database.read() as connection:
            return find_space(connection, "building")

    def begin_building(self, identity: Identity) -> None:
        """Begins a space for a model, or goes on with one that is being built for it."""
        with self._database.write() as connection:
            space = find_space(connection, "building")
            if space is not None and space.identity.matches(identity):
                return
            retire(connection, "building")
            add_space(connection, identity, "building")
        self._built_up_to = 0

    def stop_building(self) -> None:
        """Gives up the space that is being built, if there is one."""
        with self._database.write() as connection:
            retire(connection, "building")

    def missing(self, limit: int) -> list[Document]:
        """Some documents without passages in the space that is being built; none if it is whole."""
        with self._database.read() as connection:
            found = documents_without_passages(connection, self._built_up_to, limit)
            if not found:
                # Those before were replaced meanwhile, or could not be embedded.
                found = documents_without_passages(connection, 0, limit)
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
            space = find_space(connection, "building")
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
            add_passages(connection, space, new)

    def serve_building(self) -> bool:
        """Searches the space that was built from now on; False while documents are missing in it.

        True, too, when none is being built any more.
        """
        with self._database.write() as connection:
            if documents_without_passages(connection, 0, 1):
                return False
            if find_space(connection, "building") is not None:
                retire(connection, "serving")
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
            delete_passages(connection, passages)
        return len(passages) == limit
