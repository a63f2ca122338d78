"""A sentence encoder in training: token ids in, unit vectors out, with gradients."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel, BertModel, PreTrainedTokenizerFast

from inference.checkpoint import Pooling
from inference.encoders.head import pool
from inference.similarity import Vectors
from inference.torch_model import pad
from training.arithmetic import autocast
from training.batches import by_length

_MEASURING_TOKENS = 4_096


class Student(nn.Module):
    """A BERT with mean pooling.

    Args:
        bert: the transformer; trained in place.
        tokenizer: of its vocabulary, with ``[CLS]`` and ``[SEP]`` in its post-processor.
    """

    def __init__(self, bert: BertModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        # The pooler is a layer on [CLS] that sentence vectors never pass through.
        bert.pooler = None
        # The teacher's vectors are the same at each step: noise in the student's only slows it.
        for module in bert.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        # On short sequences torch's fused attention is slower backwards than plain products.
        bert.set_attn_implementation("eager")
        self.bert = bert
        self.tokenizer = tokenizer
        self._fast: Tokenizer = tokenizer.backend_tokenizer
        self._fast.no_truncation()
        self._fast.no_padding()

    @classmethod
    def load(cls, folder: Path) -> "Student":
        """From a model folder, weights as float32."""
        bert = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        return cls(bert, PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True))

    @property
    def embeddings(self) -> torch.Tensor:
        return self.bert.embeddings.word_embeddings.weight

    def tokenize(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        """Token ids of each text, cut at ``longest`` with the closing token kept."""
        encodings = self._fast.encode_batch_fast(list(texts))
        return [shorten(encoding.ids, longest) for encoding in encodings]

    def forward(self, token_ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Unit vectors (n, dim), float32."""
        return mean(*self.states(token_ids))

    def states(self, token_ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """The last layer's state of each token (n, tokens of the longest, dim), and their mask."""
        ids, mask = pad(token_ids, 0, self.embeddings.device)
        return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float(), mask

    def states_by_layer(
        self, token_ids: Sequence[Sequence[int]]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The states of the embeddings and of every layer, and the mask of :meth:`states`."""
        ids, mask = pad(token_ids, 0, self.embeddings.device)
        found = self.bert(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return [states.float() for states in found.hidden_states], mask

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (n, dim) of texts cut at the model's positions."""
        token_ids = self.tokenize(texts, self.bert.config.max_position_embeddings)
        vectors = np.zeros((len(texts), self.bert.config.hidden_size), dtype=np.float32)
        for batch in by_length([len(row) for row in token_ids], _MEASURING_TOKENS):
            with autocast(self.embeddings.device):
                found = self([token_ids[place] for place in batch])
            vectors[batch] = found.cpu().numpy()
        return vectors


def shorten(token_ids: list[int], longest: int) -> list[int]:
    """The first of a text's tokens, and the closing one."""
    return token_ids if len(token_ids) <= longest else [*token_ids[: longest - 1], token_ids[-1]]


def thin(bert: BertModel, layers: Sequence[int]) -> None:
    """Leaves only some of the layers, in place.

    Raises:
        ValueError: it does not have one of them.
    """
    encoder = bert.encoder
    if max(layers) >= len(encoder.layer):
        raise ValueError(f"There is no layer {max(layers)} among {len(encoder.layer)}: --layers.")
    encoder.layer = nn.ModuleList(encoder.layer[place] for place in layers)
    bert.config.num_hidden_layers = len(layers)


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Unit vectors (n, dim) of texts from :meth:`Student.states`."""
    return F.normalize(pool(states, mask, [Pooling.MEAN]), dim=1)
