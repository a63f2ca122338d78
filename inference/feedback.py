"""Votes on answers, kept in one SQLite file with what they were about."""

import re
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from inference.corpus.database import Database, folder_errors
from inference.errors import NotFound

Verdict = Literal["up", "down"]

VERDICTS: tuple[Verdict, ...] = ("up", "down")

PAIR_COLUMNS = (
    *("query", "document", "label"),
    *("collection", "document_id", "title", "answer", "comment", "model", "voted"),
)
"""Members of a labelled pair; the first three are what thresholds are calibrated with."""

# "ssfb" in ASCII: marks the file as votes.
_APPLICATION_ID = 0x73736662
_USER_VERSION = 1
_PAGE_SIZE = 4096

_SCHEMA = (
    f"""
    CREATE TABLE votes (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        verdict TEXT NOT NULL CHECK (verdict IN {VERDICTS}),
        comment TEXT NOT NULL,
        voted REAL NOT NULL,
        collection TEXT NOT NULL,
        question TEXT NOT NULL,
        answer TEXT NOT NULL,
        model TEXT NOT NULL
    )""",
    """
    CREATE TABLE sources (
        vote INTEGER NOT NULL REFERENCES votes ON DELETE CASCADE,
        position INTEGER NOT NULL,
        document_id TEXT NOT NULL,
        title TEXT NOT NULL,
        passage TEXT NOT NULL,
        cited INTEGER NOT NULL,
        PRIMARY KEY (vote, position)
    ) WITHOUT ROWID""",
)

_PAIRS = """
    SELECT question, passage, verdict, collection, document_id, title, answer, comment, model, voted
    FROM votes JOIN sources ON vote = number
    WHERE cited AND (:collection IS NULL OR collection = :collection)
        AND (:since IS NULL OR voted >= :since)
    ORDER BY number, position
"""

_CITATION = re.compile(r"\[([0-9]{1,4})\]")


@dataclass(frozen=True)
class CitedSource:
    """A document as it was when the vote came.

    Attributes:
        document_id, title: of the document.
        passage: what of it was compared with the question.
        number: under which the answer cites it, as in ``[1]``; None if that is not known.
    """

    document_id: str
    title: str
    passage: str
    number: int | None = None


@dataclass(frozen=True)
class Vote:
    """What somebody thinks of an answer.

    Attributes:
        verdict: whether it is good.
        comment: in the voter's words; may be empty.
        collection: that was asked.
        question, answer: as they were shown.
        model: that found the sources.
        sources: what the answer draws on.
    """

    verdict: Verdict
    comment: str
    collection: str
    question: str
    answer: str
    model: str
    sources: Sequence[CitedSource]


class FeedbackStore:
    """Votes, which any number of threads and processes keep at once.

    Args:
        path: of the file, which is made with the first vote, and again after it was deleted. It is
            opened when it is first used, and must not be carried over a fork after that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._opened: tuple[Database, int] | None = None

    def add(self, vote: Vote) -> str:
        """Keeps a vote, and gives the id that nobody else can guess.

        Raises:
            StorageFull: there is no room; nothing was kept.
            Conflict: the folder may not be written.
        """
        vote_id = uuid.uuid4().hex
        with self._database().write() as connection:
            number = connection.execute(
                "INSERT INTO votes (id, verdict, comment, voted, collection, question, answer, "
                "model) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(vote_id, vote.verdict, vote.comment, time.time()),
                    *(vote.collection, vote.question, vote.answer, vote.model),
                ),
            ).lastrowid
            cited = _cited(vote.answer, vote.sources)
            connection.executemany(
                "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, position, source.document_id, source.title, source.passage, counts)
                    for position, (source, counts) in enumerate(
                        zip(vote.sources, cited, strict=True)
                    )
                ],
            )
        return vote_id

    def change(self, vote_id: str, verdict: Verdict, comment: str) -> None:
        """Puts another verdict and comment in the place of a vote's.

        Raises:
            NotFound: there is no such vote.
            StorageFull: there is no room; the vote stays as it was.
        """
        with self._database().write() as connection:
            changed = connection.execute(
                "UPDATE votes SET verdict = ?, comment = ?, voted = ? WHERE id = ?",
                (verdict, comment, time.time(), vote_id),
            ).rowcount
        _require(changed)

    def remove(self, vote_id: str) -> None:
        """Forgets a vote.

        Raises:
            NotFound: there is no such vote.
        """
        with self._database().write() as connection:
            removed = connection.execute("DELETE FROM votes WHERE id = ?", (vote_id,)).rowcount
        _require(removed)

    def pairs(
        self, *, collection: str | None = None, since: float | None = None
    ) -> Iterator[dict[str, object]]:
        """The votes as they stand now as labelled pairs, oldest first; see ``PAIR_COLUMNS``.

        Each source that the answer cites makes a pair with the question, labelled 1 or 0.

        Args:
            collection: that was asked; None for all.
            since: Unix time in seconds of the first vote that counts.

        Raises:
            NotFound: nobody has voted yet.
        """
        if not self._path.exists():
            raise NotFound(
                f"There is no feedback in {self._path.parent}: nobody has voted yet, or --data-dir "
                "must name the service's folder."
            )
        with self._database().read() as connection:
            found = connection.execute(_PAIRS, {"collection": collection, "since": since})
            for query, document, verdict, *described, voted in found:
                label = int(verdict == "up")
                moment = datetime.fromtimestamp(voted, UTC).isoformat(timespec="seconds")
                values = (query, document, label, *described, moment)
                yield dict(zip(PAIR_COLUMNS, values, strict=True))

    def close(self) -> None:
        """Closes the file, if it is open."""
        with self._opening:
            if self._opened is not None:
                self._opened[0].close()
                self._opened = None

    def _database(self) -> Database:
        with self._opening:
            if self._opened is not None and self._opened[1] == self._inode():
                return self._opened[0]
            # Deleted by whoever wants all votes forgotten: what is open leads nowhere.
            if self._opened is not None:
                self._opened[0].close()
                self._opened = None
            database = Database(
                self._path,
                application_id=_APPLICATION_ID,
                user_version=_USER_VERSION,
                kind="feedback",
            )
            with folder_errors("feedback"):
                self._path.parent.mkdir(parents=True, exist_ok=True)
            database.create(_SCHEMA, page_size=_PAGE_SIZE)
            self._opened = database, self._inode()
            return database

    def _inode(self) -> int:
        """Which file lies there; 0 for none."""
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return 0


def _cited(answer: str, sources: Sequence[CitedSource]) -> list[bool]:
    """Which sources an answer cites; all of them if it cites none.

    >>> sources = [CitedSource("a", "", "", 1), CitedSource("b", "", "", 2)]
    >>> _cited("24시간 받습니다. [2]", sources), _cited("24시간 받습니다.", sources)
    ([False, True], [True, True])
    """
    numbers = {int(number) for number in _CITATION.findall(answer)}
    cited = [source.number in numbers for source in sources]
    return cited if any(cited) else [True] * len(sources)


def _require(changed: int) -> None:
    if not changed:
        raise NotFound("There is no such vote: it was taken back.", item="id")
