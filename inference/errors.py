"""The errors that ssang raises on purpose.

SsangError
├── InvalidInput        an item of the request, a setting or a model reference is wrong
│   └── EmptyInput      a text, or a list of them, has nothing in it
├── TooLarge            the item is valid, but bigger than a limit
├── NotFound            what was named is not there
├── Conflict            the state of the thing forbids what was asked
├── StorageFull         there is no room to keep what was sent; nothing of it was kept
├── CorpusUnavailable   where collections are kept does not answer, or lets nobody in
├── GeneratorUnavailable what writes answers does not answer, or broke off
├── Overloaded          too much work is waiting; try again after `retry_after_s`
├── DeadlineExceeded    the work waited longer than it may
├── UserCodeFailed      code of a user, beside the model, raised an error
└── ModelUnavailable    the model is loading, failed, or is stopping

Each message says what was wrong with which item and what to do about it. It never holds the text
that a user sent.
"""


class SsangError(Exception):
    """Base of every error that ssang raises on purpose.

    Args:
        message: one sentence or two: what is wrong, and the mend.
        item: the item at fault as the caller wrote it, such as ``documents[3]``.
    """

    def __init__(self, message: str, *, item: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.item = item

    @property
    def details(self) -> list[dict[str, str]]:
        """Item and message pairs, for answers that list what is wrong."""
        return [{"item": self.item, "message": self.message}] if self.item else []


class InvalidInput(SsangError):
    """An item of the input is wrong; ``faults`` names several at once as (item, message)."""

    def __init__(
        self,
        message: str,
        *,
        item: str | None = None,
        faults: list[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(message, item=item)
        self.faults = faults or []

    @property
    def details(self) -> list[dict[str, str]]:
        if self.faults:
            return [{"item": item, "message": message} for item, message in self.faults]
        return super().details


class EmptyInput(InvalidInput):
    """A text, or a list of them, has nothing in it."""


class TooLarge(SsangError):
    """The item is valid, but bigger than a limit."""


class NotFound(SsangError):
    """What was named is not there."""


class Conflict(SsangError):
    """The state of the thing forbids what was asked."""


class StorageFull(SsangError):
    """There is no room to keep what was sent; nothing of it was kept."""


class CorpusUnavailable(SsangError):
    """Where collections are kept does not answer, or lets nobody in."""


class GeneratorUnavailable(SsangError):
    """What writes answers does not answer, or broke off."""


class Overloaded(SsangError):
    """Too much work is waiting.

    Args:
        retry_after_s: whole seconds after which the waiting work should be done, at least 1.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(SsangError):
    """The work waited longer than it may."""


class UserCodeFailed(SsangError):
    """Code of a user, beside the model, raised an error; the log has the trace."""


class ModelUnavailable(SsangError):
    """The model is loading, failed, or is stopping."""


def first_line(error: BaseException) -> str:
    """The first line of a library's error, which may have many or none.

    >>> first_line(ValueError("no such file\\nSee the documentation.")), first_line(EOFError())
    ('no such file', 'EOFError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0]
