"""Answers from any server that speaks the protocol of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat
"""

import logging
import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inference.answering.base import Generation, Request, Usage
from inference.answering.prompts import PromptWriter
from inference.errors import GeneratorUnavailable, InvalidInput, Overloaded

if TYPE_CHECKING:
    import openai

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_READ_S = 120.0

# Seconds before a request is sent again, if the server names none.
_BACKOFF_S = (0.5, 2.0)

# Nobody waits longer for the first piece because a server said so.
_LONGEST_WAIT_S = 10.0
_RETRY_AFTER_S = 10.0

# What may be said of a refusal: a code, and never a message, which may hold the prompt.
_CODE = re.compile(r"[A-Za-z_]{1,64}")


class OpenAIGenerator:
    """Asks a chat model over HTTP. Any thread may call it.

    What fails before the first piece is tried again; what breaks off later is not.

    Args:
        model: as the server calls it.
        url: of the server, with its ``/v1``; empty for OpenAI itself.
        key: sent to the server; empty for servers that want none, and for OpenAI the one of the
            environment.
        max_tokens: of an answer.
        prompt_tokens: of a prompt, estimated.
        connect_timeout_s: seconds until a connection must stand.
        read_timeout_s: most seconds before the first piece, and between two.
        backoff_s: seconds before each further try, where the server names none.

    Raises:
        InvalidInput: there is no model, no address that can be asked, no key, or no openai package.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = "",
        key: str = "",
        max_tokens: int = 512,
        prompt_tokens: int = 3000,
        connect_timeout_s: float = _CONNECT_S,
        read_timeout_s: float = _READ_S,
        backoff_s: Sequence[float] = _BACKOFF_S,
    ) -> None:
        if not model:
            raise InvalidInput(
                "The generator openai needs a model: give generator_model, as its server calls it.",
                item="generator_model",
            )
        if url and not (urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname):
            raise InvalidInput(
                "generator_url must be like http://127.0.0.1:11434/v1.", item="generator_url"
            )
        self._model = model
        self._writer = PromptWriter(prompt_tokens)
        self._backoff_s = backoff_s
        self._options = _options(max_tokens, compatible=bool(url))
        self._client = _connect(url, key, connect_timeout_s, read_timeout_s)

    @property
    def name(self) -> str:
        return f"openai: {self._model}"

    def generate(self, request: Request) -> Generation:
        usage = Usage()
        return Generation(self._pieces(request, usage), usage)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _pieces(self, request: Request, usage: Usage) -> Iterator[str]:
        # A caller who leaves closes the connection, which tells the server to stop.
        with self._open(self._writer.chat(request)) as stream:
            is_complete = False
            for chunk in _told(stream):
                if chunk.usage:
                    usage.prompt_tokens = chunk.usage.prompt_tokens
                    usage.completion_tokens = chunk.usage.completion_tokens
                for choice in chunk.choices:
                    is_complete = is_complete or choice.finish_reason is not None
                    if choice.delta.content:
                        yield choice.delta.content
        if not is_complete:
            raise _broken_off()

    def _open(self, messages: Sequence[Any]) -> "openai.Stream[Any]":
        """The server's answer, once it has begun."""
        import openai

        for backoff_s in (*self._backoff_s, math.inf):
            try:
                stream: openai.Stream[Any] = self._client.chat.completions.create(
                    model=self._model,
                    messages=list(messages),
                    stream=True,
                    stream_options={"include_usage": True},
                    **self._options,
                )
            except openai.OpenAIError as error:
                wait_s = _wait_s(error, backoff_s)
                if math.isinf(backoff_s) or wait_s > _LONGEST_WAIT_S:
                    raise _translate(error, wait_s) from error
                log.info("the generator is asked again: %s", type(error).__name__)
            else:
                return stream
            time.sleep(wait_s)
        raise AssertionError("the last try returns or raises")


def _connect(
    url: str, key: str, connect_timeout_s: float, read_timeout_s: float
) -> "openai.OpenAI":
    try:
        import openai
    except ImportError as error:
        raise InvalidInput(
            "The generator openai needs a package that is not installed: "
            "pip install 'ssang[openai]'.",
            item="generator",
        ) from error
    try:
        return openai.OpenAI(
            # The key of the environment is OpenAI's, and no other server's business.
            api_key=key or ("none" if url else None),
            base_url=url or None,
            timeout=openai.Timeout(read_timeout_s, connect=connect_timeout_s),
            max_retries=0,
        )
    except openai.OpenAIError as error:
        raise InvalidInput(
            "The generator openai needs a key: give generator_key, or generator_url for a server "
            "that wants none.",
            item="generator_key",
        ) from error


def _options(max_tokens: int, *, compatible: bool) -> dict[str, Any]:
    """What only others know, and OpenAI's newer models refuse; and the other way round."""
    if compatible:
        return {"max_tokens": max_tokens, "temperature": 0}
    return {"max_completion_tokens": max_tokens}


@contextmanager
def _breaks_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # what the HTTP library raises depends on the release of openai
        raise _broken_off() from error


def _told(stream: "openai.Stream[Any]") -> Iterator[Any]:
    """The chunks, with whatever ends them too early as our own error."""
    chunks = iter(stream)
    while True:
        with _breaks_told():
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _broken_off() -> GeneratorUnavailable:
    return GeneratorUnavailable("The generator's server broke off its answer: ask again.")


def _wait_s(error: Exception, backoff_s: float) -> float:
    """Seconds before the same request may succeed; infinite if it never will."""
    import openai

    if isinstance(error, openai.RateLimitError | openai.InternalServerError):
        try:
            return max(float(error.response.headers.get("retry-after", "")), 0.0)
        except ValueError:
            return backoff_s
    # A server that took too long has enough to do.
    is_lost = isinstance(error, openai.APIConnectionError)
    return backoff_s if is_lost and not isinstance(error, openai.APITimeoutError) else math.inf


def _translate(error: Exception, wait_s: float) -> GeneratorUnavailable | Overloaded:
    import openai

    if isinstance(error, openai.RateLimitError):
        seconds = wait_s if math.isfinite(wait_s) else _RETRY_AFTER_S
        return Overloaded(
            "The generator's server has too much to do: try again later.",
            retry_after_s=max(math.ceil(seconds), 1),
        )
    return GeneratorUnavailable(_reason(error))


def _reason(error: Exception) -> str:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "The generator's server took too long to answer: ask again later."
    if isinstance(error, openai.APIConnectionError):
        return "The generator's server cannot be reached: check generator_url, and that it runs."
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return "The generator's server refuses the key: check generator_key."
    if isinstance(error, openai.NotFoundError):
        return (
            "The generator's server knows no such model or address: check generator_model, and "
            "that generator_url ends as the server wants it, mostly in /v1."
        )
    code = str(getattr(error, "code", None) or "")
    told = f" ({code})" if _CODE.fullmatch(code) else ""
    return f"The generator's server refuses the request{told}: {type(error).__name__}."
