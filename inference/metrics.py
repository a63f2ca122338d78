"""Every metric of ssang, defined once.

prometheus_client reads PROMETHEUS_MULTIPROC_DIR when it is imported: whoever starts several
processes sets that before this module is loaded. Info metrics, custom collectors and
``set_function`` do not work in that mode and are not used.

What begins with ``te_`` bears the names, labels and units of Text Embeddings Inference, for the
dashboards that were made for it. The functions at the end keep both sets in step.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

REQUESTS = Counter(
    "ssang_requests", "Requests answered, by route and status", ["method", "route", "status"]
)
LATENCY = Histogram(
    "ssang_request_seconds",
    "From the start of a request to the end of its answer",
    ["route"],
    buckets=_SECONDS,
)
REFUSALS = Counter("ssang_refusals", "Requests refused because of load, by reason", ["reason"])

QUEUE_WAIT = Histogram(
    "ssang_queue_wait_seconds", "From the queue to the start of a batch", buckets=_SECONDS
)
BATCH_SECONDS = Histogram("ssang_batch_seconds", "Time the model took a batch", buckets=_SECONDS)
BATCH_TEXTS = Histogram("ssang_batch_texts", "Texts in a batch", buckets=_TEXTS)
BATCH_TOKENS = Histogram(
    "ssang_batch_tokens", "Tokens in a batch, padding not counted", buckets=_TOKENS
)
TOKENS = Counter("ssang_tokens", "Tokens the model has read, padding not counted")
TRUNCATIONS = Counter("ssang_truncations", "Texts that were cut at the maximum length")
WAITING_TOKENS = Gauge(
    "ssang_waiting_tokens",
    "Tokens that wait for the model now",
    multiprocess_mode="livesum",
)
CACHE_LOOKUPS = Counter(
    "ssang_cache_lookups", "Texts looked for in the cache of vectors: hit or miss", ["outcome"]
)
CACHE_EVICTIONS = Counter("ssang_cache_evictions", "Vectors that made room for others")
CACHE_BYTES = Gauge(
    "ssang_cache_bytes",
    "Memory that the cache of vectors takes now",
    multiprocess_mode="livesum",
)
FILE_ROWS = Counter("ssang_file_rows", "Rows of files, by what became of them", ["outcome"])
COLLECTION_DOCUMENTS = Counter(
    "ssang_collection_documents", "Documents of collections, by what became of them", ["outcome"]
)
SEARCH_SECONDS = Histogram(
    "ssang_search_seconds",
    "Search of a collection, without making the query's vector",
    ["mode"],
    buckets=_SECONDS,
)
FEEDBACK = Counter("ssang_feedback", "Votes on answers, and what became of them", ["outcome"])
ANSWERS = Counter("ssang_answers", "Answers from collections, by what became of them", ["outcome"])
ANSWER_SECONDS = Histogram(
    "ssang_answer_seconds",
    "From a question to a collection to the end of its answer",
    buckets=_SECONDS,
)
MODEL_RESTARTS = Counter("ssang_model_thread_restarts", "Times the model's thread was restarted")


class _TextHistogram(Histogram):
    """A histogram of what a request with thousands of texts has thousands of."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observes each amount; each bucket is written once."""
        self._sum.inc(sum(amounts))
        places = Tally(bisect_left(self._upper_bounds, amount) for amount in amounts)
        for place, count in places.items():
            self._buckets[place].inc(count)


def _te_counter(name: str, documentation: str, label: str) -> Gauge:
    """A counter whose name does not end in ``_total``, as prometheus_client's own all do.

    A gauge that only grows is one in all but its declared type; ``sum`` keeps what the processes
    that have ended counted, as counters do.
    """
    return Gauge(name, documentation, [label], multiprocess_mode="sum")


_TE_COUNT = _te_counter("te_request_count", "Requests with texts: single or batch", "method")
_TE_SUCCESS = _te_counter("te_request_success", "Those that were answered", "method")
_TE_FAILURE = _te_counter("te_request_failure", "Those that were not, by reason", "err")
_TE_DURATION = Histogram("te_request_duration", "Seconds in all", buckets=_SECONDS)
_TE_TOKENIZATION = Histogram(
    "te_request_tokenization_duration", "Seconds making token ids", buckets=_SECONDS
)
_TE_QUEUE = Histogram("te_request_queue_duration", "Seconds in the queue", buckets=_SECONDS)
_TE_INFERENCE = Histogram("te_request_inference_duration", "Seconds in batches", buckets=_SECONDS)
_TE_INPUT_LENGTH = _TextHistogram(
    "te_request_input_length", "Tokens of a text that were read", buckets=_TOKENS
)
_TE_QUEUE_SIZE = Gauge(
    "te_queue_size", "Texts that wait for the model now", multiprocess_mode="livesum"
)
_TE_BATCH_SIZE = Histogram("te_batch_next_size", "Texts in a batch", buckets=_TEXTS)
_TE_BATCH_TOKENS = Histogram("te_batch_next_tokens", "Tokens in a batch", buckets=_TOKENS)


def observe_waiting(*, texts: int, tokens: int) -> None:
    """So many more texts, or fewer, wait for the model."""
    WAITING_TOKENS.inc(tokens)
    _TE_QUEUE_SIZE.inc(texts)


def observe_texts(lengths: Sequence[int], *, cut: int) -> None:
    """Texts of so many tokens are about to be read, ``cut`` of them not whole."""
    TRUNCATIONS.inc(cut)
    _TE_INPUT_LENGTH.observe_all(lengths)


def observe_batch(*, texts: int, tokens: int, seconds: float) -> None:
    """The model has read a batch."""
    BATCH_SECONDS.observe(seconds)
    BATCH_TEXTS.observe(texts)
    BATCH_TOKENS.observe(tokens)
    TOKENS.inc(tokens)
    _TE_BATCH_SIZE.observe(texts)
    _TE_BATCH_TOKENS.observe(tokens)


def observe_timing(*, tokenize: float, queue: float, inference: float, total: float) -> None:
    """A call of the engine took so many milliseconds; see ``inference.result.Timing``."""
    _TE_TOKENIZATION.observe(tokenize / 1000)
    _TE_QUEUE.observe(queue / 1000)
    _TE_INFERENCE.observe(inference / 1000)
    _TE_DURATION.observe(total / 1000)


def observe_request(*, texts: int, failure: str | None) -> None:
    """A request with so many texts was answered, or failed for a reason."""
    method = "single" if texts == 1 else "batch"
    _TE_COUNT.labels(method).inc()
    if failure:
        _TE_FAILURE.labels(failure).inc()
    else:
        _TE_SUCCESS.labels(method).inc()
