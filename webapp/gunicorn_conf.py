"""gunicorn's configuration: ``gunicorn -c python:webapp.gunicorn_conf "webapp:create_app()"``.

Each value stands with its reason. Nothing here loads torch, since CUDA does not survive a fork, nor
the metrics, since the folder that workers share must be set before they are imported.
"""

import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from flask import Flask
from gunicorn.arbiter import Arbiter

from inference.device import available_cores
from inference.errors import SsangError
from inference.user_code import Served, install, open_served
from webapp.capacity import (
    choose_capacity,
    has_gpu,
    let_idle_threads_sleep,
)
from webapp.log import logging_config
from webapp.reader import open_served_reader
from webapp.settings import Settings, environment_name, read_settings

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

    from inference.lifecycle import Failure
    from webapp.service import Service

log = logging.getLogger(__name__)

_PROMETHEUS_DIR = "PROMETHEUS_MULTIPROC_DIR"

# How long a thread may keep Python from the others; each request needs it a handful of times.
# Beside one that computes in Python, the slowest hundredth took about two thirds as long as with
# the usual 5 ms.
_SWITCH_INTERVAL_S = 0.001

# Time for the last answers to leave a process whose model has failed.
_FAREWELL_S = 1.0


@contextmanager
def _ending_with_a_sentence() -> Iterator[None]:
    try:
        yield
    except SsangError as error:
        sys.exit(f"ssang: {error.message}")


def _read() -> tuple[Settings, Served]:
    """The settings, and the model's files, checked, as are the reader's."""
    settings = read_settings()
    served = open_served(
        settings.model,
        query=settings.query_model,
        document=settings.document_model,
        program=settings.program,
    )
    open_served_reader(settings)
    return settings, served


with _ending_with_a_sentence():
    _settings, _served = _read()
_cores = available_cores()
_capacity = choose_capacity(_settings, cores=_cores, gpu=has_gpu(_settings.device))
let_idle_threads_sleep()
# The workers read their settings from the environment they inherit.
os.environ[environment_name("compute_threads")] = str(_capacity.compute_threads)

bind = f"{_settings.host}:{_settings.port}"
workers = _capacity.workers
# Requests wait for the model inside their thread, so threads are many and cheap.
# gthread, whose threads stay with their connection for a moment.
worker_class = "webapp.worker.Worker"
threads = _settings.threads
# The model is loaded after the fork, by each worker in a thread of its own.
preload_app = False
# Above the deadline, so that admitted work ends before the process does.
graceful_timeout = int(_settings.deadline_s) + 10
# Watches the worker's main loop, which never computes; the batcher watches the model itself.
timeout = 60
# Above the idle timeout of usual load balancers (60 s), so that they close first.
keepalive = 75
# A heartbeat on disk can stall the worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# The application writes one line a request itself.
accesslog = None
logger_class = "webapp.log.ServerLogger"
logconfig_dict = logging_config(_settings)
# Nobody asked for a socket to control the server with.
control_socket_disable = True


def on_starting(server: "Arbiter") -> None:
    """Prepares what the workers share, and says what was chosen."""
    _prepare_user_code()
    os.environ[_PROMETHEUS_DIR] = tempfile.mkdtemp(
        prefix="ssang-metrics-", dir=os.environ.get(_PROMETHEUS_DIR)
    )
    log.info(
        "starting",
        extra={
            "model": _settings.model,
            "cores": _cores,
            "workers": _capacity.workers,
            "compute_threads": _capacity.compute_threads,
            "threads": _settings.threads,
        },
    )


def _prepare_user_code() -> None:
    program = _served.program
    if program is None:
        return
    log.info("user code", extra={"file": str(program.file)})
    if program.requirements is None:
        return
    if not _settings.install_requirements:
        hint = f"not installed: set {environment_name('install_requirements')} for that"
        log.warning(hint, extra={"file": str(program.requirements)})
        return
    with _ending_with_a_sentence():
        install(program.requirements)


def post_fork(server: "Arbiter", worker: "Worker") -> None:
    """Lets the worker's threads take turns more often."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def post_worker_init(worker: "Worker") -> None:
    """Lets the application know when its process stops, and ends it when its model has failed."""
    service = _service(worker)
    service.is_stopping = lambda: not worker.alive
    service.on_failure(lambda failure: _leave(failure))


def worker_exit(server: Arbiter, worker: "Worker") -> None:
    """Ends the model's thread before its process, if the application was ever made."""
    if hasattr(worker, "wsgi"):
        _service(worker).close()


def child_exit(server: "Arbiter", worker: "Worker") -> None:
    """Takes a dead worker's live gauges out of the metrics."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: "Arbiter") -> None:
    """Removes the metrics folder that was made at the start."""
    shutil.rmtree(os.environ[_PROMETHEUS_DIR], ignore_errors=True)


def _leave(failure: "Failure") -> None:
    """Ends the process soon: a model that never loaded ends the service, a later failure does not.

    The thread that hangs cannot be stopped, so the process leaves without it.
    """
    code = Arbiter.WORKER_BOOT_ERROR if failure.while_loading else 1

    def end() -> None:
        time.sleep(_FAREWELL_S)
        os._exit(code)

    threading.Thread(target=end, name="farewell").start()


def _service(worker: "Worker") -> "Service":
    service: Service = cast(Flask, worker.wsgi).extensions["ssang"]
    return service
