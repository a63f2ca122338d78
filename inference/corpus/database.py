"""One SQLite file that many threads and several processes read and write."""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from inference.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Overloaded,
    SsangError,
    StorageFull,
)

# How long a statement waits for the writers of other processes, whose transactions are one batch.
_BUSY_S = 30

# Connections kept for readers to come; more are opened when more read at once.
_KEPT_READERS = 8

# Primary result codes, the low byte of what SQLite reports: https://www.sqlite.org/rescode.html
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORBIDDEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}

# SQLite reports only a disk without room as full; a quota or a limit on the size of files fails
# the write itself.
_UNWRITTEN = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


class Database:
    """Transactions on one file.

    Connections are opened when they are first needed, and none may be carried over a fork.

    Args:
        path: of the file.
        application_id: marks files of this kind; others are refused.
        user_version: of the schema; files of another one are refused.
        kind: what such a file holds, for messages.
    """

    def __init__(
        self, path: Path, *, application_id: int, user_version: int, kind: str = "collection"
    ) -> None:
        self._path = path
        self._application_id = application_id
        self._user_version = user_version
        self._kind = kind
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._watching = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        self._closed = False

    def create(self, schema: Sequence[str], *, page_size: int) -> None:
        """Makes the file with the statements of a schema, all or nothing; one there stays as it is.

        Raises:
            InvalidInput: the file there is of another kind.
            StorageFull: there is no room.
        """
        with self._errors(), closing(self._connect("rwc")) as connection:
            connection.execute(f"PRAGMA page_size = {page_size}")
            connection.execute("BEGIN EXCLUSIVE")
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                for statement in schema:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {self._application_id}")
                connection.execute(f"PRAGMA user_version = {self._user_version}")
            connection.execute("COMMIT")
            self._check(connection)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection on which everything is as of one moment, whatever is written meanwhile."""
        with self._errors():
            connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._keep_reader(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction of its own: on the disk when this ends, or undone whole.

        Raises:
            StorageFull: there is no room; nothing was written.
            Overloaded: other processes have been writing all the time.
        """
        with self._writing, self._errors():
            if self._writer is None:
                self._writer = self._open_writer()
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk has undone it already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def version(self) -> int:
        """A number that changes with every commit, of any process.

        It means something only beside others of the same object.
        """
        with self._watching, self._errors():
            # SQLite counts the commits of other connections: this one never writes.
            # https://www.sqlite.org/pragma.html#pragma_data_version
            if self._watcher is None:
                self._watcher = self._open_reader()
            number: int = self._watcher.execute("PRAGMA data_version").fetchone()[0]
            return number

    def backup(self, path: Path) -> None:
        """Writes the file as it stands now to another path, where it appears when it is whole.

        Raises:
            StorageFull: there is no room for it.
        """
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with (
                self.read() as source,
                closing(sqlite3.connect(part, isolation_level=None)) as target,
            ):
                source.backup(target)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes what is not in use; readers that are still at work close behind themselves.

        Whoever comes later finds nothing.
        """
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in readers:
            connection.close()
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _take_reader(self) -> sqlite3.Connection:
        with self._lock:
            if self._readers:
                return self._readers.pop()
        return self._open_reader()

    def _keep_reader(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._readers) < _KEPT_READERS:
                self._readers.append(connection)
                return
        connection.close()

    def _open_writer(self) -> sqlite3.Connection:
        connection = self._open()
        # Readers and the writer do not wait for each other. The file remembers it.
        connection.execute("PRAGMA journal_mode = WAL")
        # Without it a commit may be lost with the power, however well it is ordered.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A large import leaves a large log behind, which would stay.
        connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        # One that is opened for reading alone cannot recover the log of a killed process.
        connection = self._open()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _open(self) -> sqlite3.Connection:
        if self._closed or not self._path.exists():
            raise self._gone()
        connection = self._connect("rw")
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute(f"PRAGMA cache_size = {-8 * 1024}")
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        (kind,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if kind != self._application_id:
            raise InvalidInput(f"{self._path.name} holds no {self._kind}: something else made it.")
        if version != self._user_version:
            raise InvalidInput(
                f"{self._path.name} is a {self._kind} of version {version}, and this one reads "
                f"version {self._user_version}: export it with the ssang that wrote it, and import "
                "that."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            known = self._known(error)
            if known is None:
                raise
            raise known from error

    def _gone(self) -> NotFound:
        return NotFound(f"The {self._kind}'s file is gone: it was deleted or moved.")

    def _known(self, error: sqlite3.Error) -> SsangError | None:
        # Errors of the Python module itself, such as a closed connection, have no code.
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        primary = code & 0xFF
        if primary == sqlite3.SQLITE_FULL or code in _UNWRITTEN:
            return StorageFull(
                f"There is no room to write {self._path.name}: free some, or move the data folder."
            )
        if primary == sqlite3.SQLITE_IOERR and not self._path.exists():
            # Its log is opened and mapped by name, also by a connection that has the file open.
            return self._gone()
        if primary in _BUSY:
            return Overloaded(
                f"Other processes have been writing to the {self._kind} all the time: try again.",
                retry_after_s=5,
            )
        if primary in _FORBIDDEN:
            return _not_kept(self._kind, error)
        if primary in _DAMAGED:
            return InvalidInput(
                f"{self._path.name} is damaged or no SQLite file: restore a backup of it."
            )
        return None


@contextmanager
def folder_errors(kind: str) -> Iterator[None]:
    """Says what to do where a folder for things of a kind cannot be written.

    Raises:
        StorageFull: there is no room.
        Conflict: it may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"There is no room left where the {kind} is kept.") from error
        raise _not_kept(kind, error.strerror) from error


def _not_kept(kind: str, reason: object) -> Conflict:
    return Conflict(
        f"The {kind} cannot be kept ({reason}): let --data-dir name a folder that the service may "
        "write."
    )
