"""Answers from a language model on a SageMaker endpoint.

The body is that of OpenAI's chat completions, which AWS's containers for language models take at
/invocations. They stream chunks as server-sent events or as JSON Lines:
https://docs.djl.ai/docs/serving/serving/docs/lmi/user_guides/chat_input_output_schema.html
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from inference.answering.base import Generation, Request, Usage
from inference.answering.prompts import PromptWriter
from inference.errors import GeneratorUnavailable, InvalidInput, Overloaded

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_READ_S = 120.0
_TRIES = 2
_RETRY_AFTER_S = 10

_JSON = "application/json"
_EVENT = b"data:"
_END = b"[DONE]"

# What an endpoint or a policy answers that knows whole answers only.
_NO_STREAM = {"AccessDeniedException", "ValidationError", "ValidationException"}
_BUSY = {"ThrottlingException", "ServiceUnavailable", "ModelNotReadyException"}


class SageMakerGenerator:
    """Asks an endpoint by its name. Any thread may call it.

    Region and credentials are found by boto3's own rules.

    Args:
        endpoint: its name.
        max_tokens: of an answer.
        prompt_tokens: of a prompt, estimated.
        read_timeout_s: most seconds before the first piece, and between two.
        url: of the Runtime, where it is not AWS's.

    Raises:
        InvalidInput: there is no name, no region, or no boto3.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        max_tokens: int = 512,
        prompt_tokens: int = 3000,
        read_timeout_s: float = _READ_S,
        url: str = "",
    ) -> None:
        if not endpoint:
            raise InvalidInput(
                "The generator sagemaker needs an endpoint: give its name as generator_model.",
                item="generator_model",
            )
        self._endpoint = endpoint
        self._max_tokens = max_tokens
        self._writer = PromptWriter(prompt_tokens)
        self._client = _connect(url, read_timeout_s)
        self._streams = True

    @property
    def name(self) -> str:
        return f"sagemaker: {self._endpoint}"

    def generate(self, request: Request) -> Generation:
        usage = Usage()
        return Generation(self._pieces(request, usage), usage)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _pieces(self, request: Request, usage: Usage) -> Iterator[str]:
        body: dict[str, Any] = {
            "messages": self._writer.chat(request),
            "max_tokens": self._max_tokens,
            "temperature": 0,
        }
        reply = self._open_stream(body) if self._streams else None
        if reply is None:
            reply = self._invoke("invoke_endpoint", body)
            self._streams = False
            with closing(reply["Body"]) as stream:
                yield from _read_whole(stream, usage)
            return
        # A caller who leaves closes the connection, which tells the endpoint to stop.
        with closing(reply["Body"]) as stream:
            parts = (event["PayloadPart"]["Bytes"] for event in stream)
            if reply.get("ContentType", "").partition(";")[0].strip() == _JSON:
                yield from _read_whole(parts, usage)
            else:
                yield from _read_chunks(parts, usage)

    def _open_stream(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The reply, or None where whole answers are all that can be had."""
        from botocore.exceptions import ClientError

        options = {"stream": True, "stream_options": {"include_usage": True}}
        try:
            return self._invoke("invoke_endpoint_with_response_stream", {**body, **options})
        except GeneratorUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _NO_STREAM:
                log.info("the generator's endpoint does not stream: it is asked for whole answers")
                return None
            raise

    def _invoke(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            reply: dict[str, Any] = getattr(self._client, operation)(
                EndpointName=self._endpoint,
                ContentType=_JSON,
                Body=json.dumps(body, ensure_ascii=False).encode(),
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _BUSY:
                raise Overloaded(
                    "The generator's endpoint has too much to do, or is starting: try again later.",
                    retry_after_s=_RETRY_AFTER_S,
                ) from error
            raise GeneratorUnavailable(
                f"The generator's endpoint '{self._endpoint}' refuses the request ({code}): check "
                "its name and region, that it is in service, and that its container takes chats."
            ) from error
        except BotoCoreError as error:
            raise GeneratorUnavailable(
                f"The generator's endpoint cannot be asked ({type(error).__name__}): check the "
                "network, the region and the credentials."
            ) from error
        return reply


def _connect(url: str, read_timeout_s: float) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InvalidInput(
            "The generator sagemaker needs a package that is not installed: "
            "pip install 'ssang[sagemaker]'.",
            item="generator",
        ) from error
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    try:
        # A session of its own, since the default one is not to be shared between threads.
        session = boto3.Session()
        return session.client("sagemaker-runtime", endpoint_url=url or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise InvalidInput(
            f"The generator sagemaker cannot be set up ({type(error).__name__}): set "
            "AWS_DEFAULT_REGION, or a region and profile in AWS's own files.",
            item="generator",
        ) from error


def _read_whole(parts: Iterable[bytes], usage: Usage) -> Iterator[str]:
    """The text of an answer that comes at once, in pieces of bytes."""
    answer = _parse(b"".join(_told(parts)))
    _note(answer, usage)
    try:
        yield answer["choices"][0]["message"]["content"] or ""
    except (LookupError, TypeError) as error:
        raise _not_understood() from error


def _read_chunks(parts: Iterable[bytes], usage: Usage) -> Iterator[str]:
    """The texts of chunks, one a line or one an event."""
    is_complete = False
    for line in _lines(_told(parts)):
        # Events have other fields too, and comments that keep the connection.
        line = line.removeprefix(_EVENT).strip()
        if line == _END:
            is_complete = True
        if not line.startswith(b"{"):
            continue
        chunk = _parse(line)
        if "error" in chunk:
            raise _broken_off()
        _note(chunk, usage)
        for choice in chunk.get("choices") or []:
            is_complete = is_complete or choice.get("finish_reason") is not None
            if text := (choice.get("delta") or {}).get("content"):
                yield text
    if not is_complete:
        raise _broken_off()


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of bytes that arrive in pieces cut anywhere."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    yield rest


def _told(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same, with whatever ends them too early as our own error."""
    try:
        yield from parts
    except Exception as error:  # botocore passes on what urllib3 raises
        raise _broken_off() from error


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise _not_understood() from error
    if not isinstance(value, dict):
        raise _not_understood()
    return value


def _note(answer: dict[str, Any], usage: Usage) -> None:
    if told := answer.get("usage"):
        usage.prompt_tokens = told.get("prompt_tokens")
        usage.completion_tokens = told.get("completion_tokens")


def _broken_off() -> GeneratorUnavailable:
    return GeneratorUnavailable("The generator's endpoint broke off its answer: ask again.")


def _not_understood() -> GeneratorUnavailable:
    return GeneratorUnavailable(
        "The generator's endpoint answers something else than a chat completion: use a container "
        "that takes chats, such as LMI, vLLM or TGI."
    )
