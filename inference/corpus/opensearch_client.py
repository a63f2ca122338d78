"""Requests to an OpenSearch cluster: its address, its errors in our words, and bulk writes.

Everything else asks for this module late, since it loads opensearch-py.
"""

import base64
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from opensearchpy import JSONSerializer, OpenSearch, Urllib3AWSV4SignerAuth, helpers
from opensearchpy import exceptions as their

from inference.errors import (
    Conflict,
    CorpusUnavailable,
    InvalidInput,
    NotFound,
    Overloaded,
    SsangError,
    StorageFull,
)

Engine = Literal["lucene", "faiss"]
Action = dict[str, Any]
Answer = dict[str, Any]

# Nested vectors and filters on what holds them came with 2.12.
OLDEST = (2, 12)

_DEFAULT_PORTS = {"https": 443, "http": 9200}
_TIMEOUT_S = 60.0

_BULK_DOCUMENTS = 200
_BULK_BYTES = 10 * 1024**2

# Seconds before a bulk write is tried again, half of them by chance.
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0)
_BUSY = {429, 502, 503, 504}
_RETRY_AFTER_S = 10

# In the reasons of refusals: no disk, no disk for further indices, too many indices.
_FULL = ("flood-stage", "create-index blocked", "maximum shards open")

# An export or a re-embedding may take this long over one batch.
_SCROLL = "30m"


@dataclass(frozen=True)
class Address:
    """Where a cluster is and how it is used.

    Attributes:
        engine: of the vectors in new indices.
        prefix: indices are named ``prefix.collection.number``.
        verify: whether its certificate is checked.
        sigv4: region and service, where requests are signed as AWS wants it.
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    prefix: str = "ssang"
    engine: Engine = "lucene"
    verify: bool = True
    sigv4: tuple[str, str] | None = None


def parse_address(text: str) -> Address:
    """The address in ``https://user:password@host:9200/prefix?engine=faiss``.

    Options: ``engine`` lucene (default) or faiss; ``verify=false`` for a certificate that nobody
    vouches for; ``auth=sigv4&region=...`` for Amazon OpenSearch Service.

    Raises:
        InvalidInput: it cannot be read; the error holds nothing of it.

    >>> parse_address("https://host:9200/faq?engine=faiss").prefix
    'faq'
    """
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        port = parts.port
    except ValueError:
        raise _bad_address("the port is no number up to 65535") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise _bad_address("it must be like opensearch+https://user:password@host:9200")
    prefix = parts.path.strip("/") or "ssang"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", prefix):
        raise _bad_address("the prefix must have lower-case letters, digits, - and _ only")
    unknown = options.keys() - {"engine", "verify", "auth", "region", "service"}
    if unknown:
        raise _bad_address(f"there is no option {min(unknown)}")
    engine = options.get("engine", "lucene")
    if engine not in get_args(Engine):
        raise _bad_address(f"engine must be one of {', '.join(get_args(Engine))}")
    verify = options.get("verify", "true")
    if verify not in {"true", "false"}:
        raise _bad_address("verify must be true or false")
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        prefix=prefix,
        engine=engine,  # type: ignore[arg-type]
        verify=verify == "true",
        sigv4=_sigv4(options),
    )


class Cluster:
    """A cluster that answers, or says why not in our errors.

    Args:
        address: of it; nothing is sent yet.
        backoff_s: seconds to wait before each further try of a bulk write.
    """

    def __init__(self, address: Address, *, backoff_s: Sequence[float] = _BACKOFF_S) -> None:
        self._address = address
        self._backoff_s = backoff_s

    @cached_property
    def _client(self) -> OpenSearch:
        address = self._address
        headers, signer = {}, None
        if address.sigv4 is not None:
            signer = _signer(*address.sigv4)
        elif address.user:
            # opensearch-py would take Latin letters only.
            secret = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
            headers = {"authorization": f"Basic {secret}"}
        return OpenSearch(
            [{"host": address.host, "port": address.port}],
            use_ssl=address.scheme == "https",
            verify_certs=address.verify,
            ssl_assert_hostname=None if address.verify else False,
            ssl_show_warn=False,
            headers=headers,
            http_auth=signer,
            http_compress=True,
            timeout=_TIMEOUT_S,
            serializer=_Serializer(),
        )

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of the cluster, read once.

        Raises:
            CorpusUnavailable: it is no OpenSearch, or too old.
        """
        version = self.call(lambda client: client.info())["version"]
        if version.get("distribution") == "opensearch":
            major, minor = (int(part) for part in version["number"].split(".")[:2])
            if (major, minor) >= OLDEST:
                return major, minor
        raise CorpusUnavailable(
            f"Collections need OpenSearch {OLDEST[0]}.{OLDEST[1]} or newer, and the cluster says "
            f"it is {version.get('distribution', 'Elasticsearch')} {version['number']}; if it is "
            "newer, turn compatibility.override_main_response_version off."
        )

    def call(self, ask: Callable[[OpenSearch], Answer]) -> Answer:
        """What the cluster answers.

        Raises:
            NotFound: an index is not there.
            StorageFull: the cluster has no room.
            Conflict: the index takes no writes just now.
            CorpusUnavailable: there is no answer, or none for this user.
        """
        with _our_errors():
            return ask(self._client)

    def scan(self, index: str, query: Answer, size: int) -> Iterator[Answer]:
        """All hits of a query as they are now, in the order of its ``sort``."""
        with _our_errors():
            yield from helpers.scan(
                self._client,
                index=index,
                query=query,
                size=size,
                scroll=_SCROLL,
                preserve_order=True,
            )

    def write(self, actions: Sequence[Action], ids: Sequence[str]) -> list[str]:
        """Writes through an alias; when this returns, searches see it.

        What the cluster is too busy to take is sent again, later and later.

        Args:
            actions: as :mod:`opensearchpy.helpers` takes them.
            ids: of the documents that they are about, for errors.

        Returns:
            What became of each: ``created``, ``updated``, ``deleted`` or ``not_found``.

        Raises:
            StorageFull, Conflict, Overloaded, InvalidInput: some were not written. The others
                were; writing all again is harmless.
        """
        results: dict[int, str] = {}
        pending = list(range(len(actions)))
        for wait_s in (*self._backoff_s, None):
            refused = self._write_once(actions, pending, results)
            pending = [number for number in pending if number in refused]
            final = [answer for answer in refused.values() if not _is_busy(answer)]
            if not refused or final or wait_s is None:
                break
            time.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311
        if refused:
            raise _refusal({ids[number]: refused[number] for number in pending}, len(actions))
        return [results[number] for number in range(len(actions))]

    def close(self) -> None:
        """Closes the connections, if there were any."""
        if "_client" in self.__dict__:
            self._client.close()

    def _write_once(
        self, actions: Sequence[Action], pending: Sequence[int], results: dict[int, str]
    ) -> dict[int, Answer]:
        """Sends the pending actions; fills ``results`` and gives back what was refused."""
        refused = {}
        answers = helpers.streaming_bulk(
            self._client,
            (actions[number] for number in pending),
            chunk_size=_BULK_DOCUMENTS,
            max_chunk_bytes=_BULK_BYTES,
            raise_on_error=False,
            raise_on_exception=False,
            refresh="wait_for",
            # An index that was deleted meanwhile would be made anew, without its mapping.
            require_alias=True,
        )
        for number, (ok, item) in zip(pending, answers, strict=True):
            (answer,) = item.values()
            if ok or answer.get("result") == "not_found":
                results[number] = answer["result"]
            else:
                refused[number] = answer
        return refused


class _Serializer(JSONSerializer):
    """Writes vectors fast, and with no more digits than they have."""

    def dumps(self, data: Any) -> str:
        if isinstance(data, str):
            return data
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY).decode()

    def loads(self, s: str) -> Any:
        return orjson.loads(s)


def _sigv4(options: dict[str, str]) -> tuple[str, str] | None:
    if "auth" not in options:
        return None
    service = options.get("service", "es")
    if options["auth"] != "sigv4" or not options.get("region"):
        raise _bad_address("signed requests need auth=sigv4&region=..., such as ap-northeast-2")
    if service != "es":
        # Its vector collections take no ids of ours, without which nothing can be replaced.
        raise _bad_address("OpenSearch Serverless cannot keep collections: use a domain")
    return options["region"], service


def _signer(region: str, service: str) -> Urllib3AWSV4SignerAuth:
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "Signed requests need boto3: pip install 'ssang[sagemaker]'.", item="corpus"
        ) from error
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise CorpusUnavailable(
            "There are no AWS credentials to sign requests to OpenSearch with: see aws configure."
        )
    return Urllib3AWSV4SignerAuth(credentials, region, service)


def _bad_address(problem: str) -> InvalidInput:
    return InvalidInput(f"The corpus' address cannot be used: {problem}.", item="corpus")


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except their.TransportError as error:
        ours = _translate(error)
        if ours is None:
            raise
        raise ours from error


def _translate(error: their.TransportError) -> SsangError | None:
    """An error of the client in our words; None where it is a mistake of ours."""
    if isinstance(error, their.SSLError):
        return CorpusUnavailable(
            "OpenSearch's certificate cannot be verified: install its authority's, or add "
            "verify=false to the address."
        )
    if isinstance(error, their.ConnectionError):
        return CorpusUnavailable("OpenSearch does not answer: see that it runs at the address.")
    # OpenSearch puts the type of its error where HTTP clients have a message.
    problem = _problem(error.error, str(error.info), error.status_code)
    if problem is not None:
        return problem
    if error.status_code in {401, 403}:
        return CorpusUnavailable(
            "OpenSearch lets the user of the address not do this: check name, password and role."
        )
    if isinstance(error, their.NotFoundError):
        return NotFound("There is no such collection any more.", item="name")
    return None


def _problem(kind: str, reason: str, status: int | str) -> SsangError | None:
    """What is wrong with the cluster and not with what was sent, if anything is."""
    if status == 507 or any(sign in reason for sign in _FULL):
        return StorageFull(
            "The OpenSearch cluster has no room left: delete something or give it more disks or "
            "shards, and send again; what it did take is left alone then."
        )
    if kind == "resource_already_exists_exception":
        return Conflict("Another process was faster.")
    if kind == "cluster_block_exception":
        return Conflict(
            "The collection takes no writes while it changes over to new vectors: send again in a "
            "minute; if nothing is at it, run ssang collections reembed once more."
        )
    if kind == "index_not_found_exception" and "alias" in reason:
        return Conflict("The collection was deleted or embedded anew meanwhile: send again.")
    if status == 429:
        return Overloaded("OpenSearch is too busy: try again.", retry_after_s=_RETRY_AFTER_S)
    if status in _BUSY:
        return CorpusUnavailable("OpenSearch cannot serve this at the moment: try again.")
    return None


def _is_busy(answer: Answer) -> bool:
    """Whether an action may be taken later. A full disk answers 429 too."""
    return answer["status"] in _BUSY and "cluster_block_exception" not in str(answer["error"])


def _refusal(refused: dict[str, Answer], count: int) -> SsangError:
    """The error of actions that were not taken, by the ids of their documents."""
    first = next(iter(refused.values()))
    if isinstance(first.get("exception"), their.TransportError):
        ours = _translate(first["exception"])
        return ours or CorpusUnavailable(
            f"OpenSearch refused a bulk write with status {first['status']}: see its log."
        )
    # Reasons may quote the document, kinds do not.
    kinds = {name: answer["error"]["type"] for name, answer in refused.items()}
    problem = _problem(first["error"]["type"], str(first["error"].get("reason")), first["status"])
    if problem is not None:
        return problem
    name, kind = next(iter(kinds.items()))
    return InvalidInput(
        f"OpenSearch refused {len(refused)} of {count} documents, the first, {name!r}, by "
        f"{kind}; the others are stored.",
        faults=[(f"document {name}", f"OpenSearch refused it by {kind}.") for name in refused],
    )
