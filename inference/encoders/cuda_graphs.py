"""Batches launched whole: a CUDA graph for each of a few sizes, recorded when first needed.

Launching a model's kernels one by one takes the host milliseconds, however little there is to do;
a recorded graph is launched in one call, but always does as much as its size has room for.
"""

import logging
from collections.abc import Callable

import torch

from inference.encoders.packed_batch import Size

log = logging.getLogger(__name__)

Run = Callable[[torch.Tensor, Size], torch.Tensor]
"""Vectors (n, d) of a laid out batch, on the batch's device, with no wait of the host for it."""

Capture = Callable[[Callable[[], torch.Tensor]], Callable[[], torch.Tensor]]
"""Records what a function does on the device; gives what repeats it and its result's place."""

# Tokens of the smallest and of the largest graph; each holds twice what the one before it does.
_TOKENS = (64, 32_768)

# Up to so many tokens, the launches cost more than the work, so the rest of a graph may go unused.
_SMALL_TOKENS = 4_096
_LEAST_FILL = 0.875

# Tokens a text, on average, that a graph is recorded for.
_TOKENS_A_TEXT = (64, 8)

# Attention sets out with a block for so many tokens of each text a graph has room for, though none
# be there. An empty block is quickly done, but too many are not.
_BLOCK_TOKENS = 128
_MOST_BLOCKS = 4_096


def graph_size(size: Size) -> Size | None:
    """The size of the graph that runs a batch; None where it is better launched as it is."""
    tokens, largest = _TOKENS
    most, least = _TOKENS_A_TEXT
    while tokens < max(size.tokens, least * size.texts):
        tokens *= 2
    texts = tokens // (most if size.texts <= tokens // most else least)
    longest = _BLOCK_TOKENS
    while longest < size.longest:
        longest *= 4
    if tokens > largest or texts * longest > _MOST_BLOCKS * _BLOCK_TOKENS:
        return None
    if tokens > _SMALL_TOKENS and size.tokens < _LEAST_FILL * tokens:
        return None
    return Size(tokens, texts, longest)


class CudaCapture:
    """Records on a CUDA device.

    Graphs share the memory of what they compute on the way: they must be replayed one at a time,
    and a result is to be taken before the next replay of any of them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._memory = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """What :data:`Capture` says.

        Raises:
            RuntimeError: something in ``run`` cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            _warm_up(run)
            # Other threads may go on using the device meanwhile.
            with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
                result = run()

        def replay() -> torch.Tensor:
            graph.replay()
            return result

        return replay


def _warm_up(run: Callable[[], torch.Tensor]) -> None:
    """Runs once on a stream aside, so that libraries allocate before the recording."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        run()
    torch.cuda.current_stream().wait_stream(aside)


class GraphRunner:
    """Runs laid out batches of the sizes that :func:`graph_size` gives.

    Args:
        run: what is recorded.
        capture: records it.
        device: where ``run`` wants its batch.
    """

    def __init__(self, run: Run, capture: Capture, device: torch.device) -> None:
        self._run = run
        self._capture = capture
        self._device = device
        self._graphs: dict[Size, tuple[torch.Tensor, Callable[[], torch.Tensor]]] = {}
        self._broken = False

    def __call__(self, numbers: torch.Tensor, size: Size) -> torch.Tensor:
        """Vectors (n, d); to be taken before the next call."""
        if not self._broken and size not in self._graphs:
            self._record(numbers, size)
        if self._broken:
            return self._run(numbers.to(self._device, non_blocking=True), size)
        batch, replay = self._graphs[size]
        batch.copy_(numbers, non_blocking=True)
        return replay()

    def _record(self, numbers: torch.Tensor, size: Size) -> None:
        batch = numbers.to(self._device, copy=True)
        try:
            self._graphs[size] = batch, self._capture(lambda: self._run(batch, size))
        except RuntimeError as error:
            self._broken = True
            log.info("batches are launched kernel by kernel: %s", str(error).partition("\n")[0])
