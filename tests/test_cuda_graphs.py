"""Which batches are launched whole, and from what; what is recorded is repeated on CPU here."""

import logging
from collections.abc import Callable

import pytest
import torch

from inference.encoders.cuda_graphs import CudaCapture, GraphRunner, graph_size
from inference.encoders.packed_batch import Size

CPU = torch.device("cpu")

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize(
    ("size", "graph"),
    [
        (Size(14, 1, 14), Size(64, 1, 128)),
        (Size(28, 2, 14), Size(64, 8, 128)),
        (Size(64, 8, 64), Size(64, 8, 128)),
        (Size(65, 1, 65), Size(128, 2, 128)),
        # More texts than their tokens would tell.
        (Size(27, 9, 3), Size(128, 16, 128)),
        (Size(129, 1, 129), Size(256, 4, 512)),
        (Size(600, 1, 600), Size(1024, 16, 2048)),
        (Size(2049, 20, 128), Size(4096, 64, 128)),
        (Size(4096, 300, 14), Size(4096, 512, 128)),
        # Large ones are worth recording when little of them goes unused.
        (Size(4097, 40, 128), None),
        (Size(7167, 60, 128), None),
        (Size(7168, 60, 128), Size(8192, 128, 128)),
        (Size(32_768, 256, 128), Size(32_768, 512, 128)),
        (Size(32_768, 2340, 14), Size(32_768, 4096, 128)),
        (Size(32_769, 256, 128), None),
        # Most of what attention sets out with would find nothing to do.
        (Size(32_768, 2000, 400), None),
        (Size(32_768, 20, 8192), None),
    ],
)
def test_size_of_the_graph_for_a_batch(size: Size, graph: Size | None) -> None:
    assert graph_size(size) == graph


@pytest.mark.parametrize("texts", [1, 7, 100, 1000])
@pytest.mark.parametrize("length", [1, 3, 14, 128, 129, 512, 513])
def test_a_graph_has_room_for_its_batch(texts: int, length: int) -> None:
    size = Size(texts * length, texts, length)
    graph = graph_size(size)
    assert graph is None or all(room >= need for room, need in zip(graph, size, strict=True))


def _twice(numbers: torch.Tensor, size: Size) -> torch.Tensor:
    return numbers.unsqueeze(1) * 2


def _again(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    return run


def test_each_size_is_recorded_once_and_reads_every_batch() -> None:
    recorded: list[int] = []

    def capture(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        recorded.append(len(run()))
        return run

    run = GraphRunner(_twice, capture, CPU)
    for _ in range(2):
        assert run(torch.tensor([1, 2, 3]), Size(1, 0, 1)).tolist() == [[2], [4], [6]]
        assert run(torch.tensor([4, 5, 6]), Size(1, 0, 1)).tolist() == [[8], [10], [12]]
        assert run(torch.tensor([7]), Size(0, 0, 0)).tolist() == [[14]]
    assert recorded == [3, 1]


def test_batches_stay_as_the_caller_gave_them() -> None:
    run = GraphRunner(_twice, _again, CPU)
    first = torch.tensor([1, 2, 3])
    run(first, Size(1, 0, 1))
    run(torch.tensor([4, 5, 6]), Size(1, 0, 1))
    assert first.tolist() == [1, 2, 3]


def test_where_nothing_can_be_recorded_batches_run_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "inference")
    attempts: list[None] = []

    def capture(run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        attempts.append(None)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    run = GraphRunner(_twice, capture, CPU)
    assert run(torch.tensor([1]), Size(0, 0, 0)).tolist() == [[2]]
    assert run(torch.tensor([1, 2, 3]), Size(1, 0, 1)).tolist() == [[2], [4], [6]]
    assert len(attempts) == 1
    assert "kernel by kernel: operation not permitted when stream is capturing" in caplog.text
    assert "more" not in caplog.text


@needs_cuda
@torch.inference_mode()
def test_graphs_that_share_memory_keep_apart() -> None:
    device = torch.device("cuda")
    run = GraphRunner(_twice, CudaCapture(device), device)
    for batch in ([1, 2, 3], [4], [5, 6, 7], [8]):
        vectors = run(torch.tensor(batch), Size(0, len(batch), 0))
        assert vectors.flatten().tolist() == [2 * number for number in batch]
