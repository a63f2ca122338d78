"""Every metric of ssang, defined once.

prometheus_client reads PROMETHEUS_MULTIPROC_DIR when it is imported: whoever starts several
processes sets that before this module is loaded. Info metrics, custom collectors and
``set_function`` do not work in that mode and are not used.
"""

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
FILE_ROWS = Counter("ssang_file_rows", "Rows of files, by what became of them", ["outcome"])
MODEL_RESTARTS = Counter("ssang_model_thread_restarts", "Times the model's thread was restarted")
