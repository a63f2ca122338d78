"""The encoder on ONNX Runtime, in 8-bit integers on CPU; torch is not needed."""

from collections.abc import Sequence

import onnxruntime

from inference.agreement import Agreement
from inference.batch import pad
from inference.checkpoint import Checkpoint, Kind
from inference.encoders.checkpoint_encoder import CheckpointEncoder
from inference.encoders.compiled import ATTENTION_MASK, INPUT_IDS, Compiled
from inference.similarity import Vectors
from inference.tokenizer import Tokenizer

# Padded tokens of a batch; larger ones gain nothing and make short requests wait behind them.
_BATCH_TOKENS = 512


class OnnxEncoder(CheckpointEncoder):
    """A compiled encoder; see the Encoder contract.

    Args:
        checkpoint: that it was compiled from.
        compiled: its folder.
        threads: threads of one matrix product; 0 leaves it to ONNX Runtime.
    """

    device = "cpu"
    precision = "int8"
    batch_tokens = _BATCH_TOKENS

    def __init__(self, checkpoint: Checkpoint, compiled: Compiled, *, threads: int) -> None:
        super().__init__(checkpoint, Tokenizer.from_file(compiled.tokenizer, checkpoint))
        self.agreement: Agreement | None = None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            compiled.graph, options, providers=["CPUExecutionProvider"]
        )
        (output,) = self._session.get_outputs()
        self._dim: int = output.shape[1]

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        ids, mask = pad(token_ids, self._pad_id)
        vectors: Vectors
        (vectors,) = self._session.run(None, {INPUT_IDS: ids, ATTENTION_MASK: mask})
        return vectors
