"""The encoder on ONNX Runtime, in 8-bit integers on CPU; torch is not needed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime

from inference.agreement import Agreement
from inference.batch import pad
from inference.checkpoint import Checkpoint, Kind
from inference.device import available_cores, int8_sums_overflow
from inference.encoders.checkpoint_encoder import CheckpointEncoder
from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS, Compiled
from inference.similarity import Vectors
from inference.tokenizer import Tokenizer

# Padded tokens of a batch, at least and for each thread; larger ones gain nothing and make short
# requests wait behind them.
_BATCH_TOKENS, _THREAD_TOKENS = 512, 256


class OnnxEncoder(CheckpointEncoder):
    """A compiled encoder; see the Encoder contract.

    Each thread takes texts of its own from a batch: threads that share the products of one text
    have to meet at every step, which costs a quarter of their time, and far more where another
    process wants a core. Only a text that is alone gets all of them.

    Args:
        checkpoint: that it was compiled from.
        compiled: its folder.
        threads: threads that compute; 0 takes one a core.
    """

    device = "cpu"
    precision = "int8"

    def __init__(self, checkpoint: Checkpoint, compiled: Compiled, *, threads: int) -> None:
        super().__init__(checkpoint, Tokenizer.from_file(compiled.tokenizer, checkpoint))
        self.agreement: Agreement | None = None
        self._threads = threads or available_cores()
        self._one = _session(compiled.graph, 1)
        self._all = _session(compiled.graph, self._threads) if self._threads > 1 else self._one
        # The calling thread computes too, and two may call at once.
        self._helpers = ThreadPoolExecutor(max(1, 2 * (self._threads - 1)), "encoder")
        (output,) = self._one.get_outputs()
        self._dim: int = output.shape[1]

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def batch_tokens(self) -> int:
        return max(_BATCH_TOKENS, self._threads * _THREAD_TOKENS)

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        if len(token_ids) == 1:
            return self._run(self._all, token_ids)
        own, *others = _shares(token_ids, self._threads)
        running = [self._helpers.submit(self._run, self._one, share) for share in others]
        return np.concatenate([self._run(self._one, own), *(part.result() for part in running)])

    def _run(
        self, session: onnxruntime.InferenceSession, token_ids: Sequence[Sequence[int]]
    ) -> Vectors:
        ids, mask = pad(token_ids, self._pad_id)
        vectors: Vectors
        (vectors,) = session.run(None, {INPUT_IDS: ids, ATTENTION_MASK: mask})
        return vectors


def _session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Between two batches the cores are for others, such as the threads that read requests.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Products of signed and unsigned integers can be too large for sums of 16 bits, those of
    # unsigned ones are not. Where the processor sums in 32 bits they would only be half as fast.
    if int8_sums_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _shares(token_ids: Sequence[Sequence[int]], count: int) -> Iterator[Sequence[Sequence[int]]]:
    """Neighbouring texts in at most ``count`` parts of about as many tokens each.

    >>> [len(share) for share in _shares([[1] * 2, [1] * 2, [1] * 3, [1] * 6], 2)]
    [3, 1]
    """
    ends = np.cumsum([len(row) for row in token_ids])
    goals = ends[-1] * np.arange(1, count) / count
    cuts = np.searchsorted(ends, goals, side="left") + 1
    for start, stop in pairwise([0, *dict.fromkeys(cuts.tolist()), len(token_ids)]):
        if start < stop:
            yield token_ids[start:stop]
