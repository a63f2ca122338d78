"""Small models for the tests: on disk with real tokenizers, and one that only pretends."""

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel

from inference.checkpoint import Kind
from inference.encoders.base import Side
from inference.similarity import Vectors
from inference.tokenizer import Text, Token, TokenizedTexts, TruncationSide

PoolingMode = Literal["mean", "cls", "max"]

WIDTH = 32

SENTENCES = [
    "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다.",
    "인공지능 기술이 빠르게 발전하고 있습니다.",
    "파리의 에펠탑은 프랑스의 상징입니다.",
    "오늘 날씨가 참 좋네요, 산책을 갈까요?",
    "大韓民國 憲法 第一條",
    "The quick brown fox jumps over the lazy dog 0123456789",
]

# In the order of their ids. KLUE's has the padding second, as RoBERTa's positions expect it.
_BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_KLUE_SPECIALS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]

# Spread out, so that the vectors of two texts, or of two poolings, differ a lot.
_SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.3,
}


def save_bert(folder: Path, *, positions: int = 64, seed: int = 0) -> Path:
    """A BERT in the plain Hugging Face layout."""
    tokenizer = _save_tokenizer(folder, _BERT_SPECIALS, positions)
    torch.manual_seed(seed)
    config = BertConfig(
        **_SHAPE, vocab_size=len(tokenizer), max_position_embeddings=positions, pad_token_id=0
    )
    BertModel(config).save_pretrained(folder)
    return folder


def save_klue_roberta(folder: Path, *, usable: int = 32, seed: int = 0) -> Path:
    """A RoBERTa as KLUE made it: BERT's word pieces, one token type, padding in second place.

    Positions are counted from behind the padding's id, so ``usable`` need two more.
    """
    tokenizer = _save_tokenizer(folder, _KLUE_SPECIALS, usable)
    torch.manual_seed(seed)
    config = RobertaConfig(
        **_SHAPE,
        vocab_size=len(tokenizer),
        max_position_embeddings=usable + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder


def save_sentence_transformer(
    folder: Path, transformer: Path, *, pooling: PoolingMode = "mean", normalize: bool = True
) -> Path:
    """As the installed sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    parts: list[torch.nn.Module] = [
        modules.Transformer(str(transformer)),
        modules.Pooling(WIDTH, pooling_mode=pooling),
    ]
    if normalize:
        parts.append(modules.Normalize())
    SentenceTransformer(modules=parts, device="cpu").save(str(folder))
    return folder


def save_old_sentence_transformer(
    folder: Path,
    transformer: Path,
    *,
    pooling: PoolingMode = "mean",
    normalize: bool = True,
    subfolder: str = "",
) -> Path:
    """As sentence-transformers before 5.3 saved it; with ``0_Transformer`` as before 2.0."""
    shutil.copytree(transformer, folder / subfolder)
    write_json(
        folder / subfolder / "sentence_bert_config.json",
        {"max_seq_length": 24, "do_lower_case": False},
    )
    flags = {
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": pooling == "max",
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **flags})
    parts = [("Transformer", subfolder), ("Pooling", "1_Pooling")]
    if normalize:
        (folder / "2_Normalize").mkdir()
        parts.append(("Normalize", "2_Normalize"))
    entries = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, (kind, path) in enumerate(parts)
    ]
    write_json(folder / "modules.json", entries)
    return folder


def write_json(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def edit_json(file: Path, **changes: object) -> None:
    """Sets members of a JSON object in a file."""
    write_json(file, {**json.loads(file.read_text(encoding="utf-8")), **changes})


def _save_tokenizer(folder: Path, specials: list[str], max_tokens: int) -> BertTokenizer:
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    characters = sorted({character for word in words for character in word})
    pieces = [*words[::2], *characters, *(f"##{character}" for character in characters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(specials + pieces))}
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=max_tokens)
    tokenizer.save_pretrained(folder)
    return tokenizer


class FakeEncoder:
    """An encoder whose vectors tell texts apart and whose batches do as a test says.

    A character is a token, between a special token on either side.

    Attributes:
        batches: the token ids it was given, batch by batch.
        towers: the tower that each batch was meant for.
        kinds: the kind that each text was tokenised as, last.
        on_batch: called with each batch before it is answered; may raise.
    """

    dim = 8
    min_tokens = 3
    pad_id = 0
    device = "cpu"
    precision = "fp32"
    agreement = None

    def __init__(
        self, *, max_tokens: int = 64, batch_tokens: int = 64, two_towers: bool = False
    ) -> None:
        self.max_tokens = max_tokens
        self.two_towers = two_towers
        self.towers: list[Kind] = []
        self.batch_tokens = batch_tokens
        self.batches: list[list[list[int]]] = []
        self.on_batch: Callable[[Sequence[Sequence[int]]], object] = lambda _: None
        self.kinds: dict[str, Kind] = {}
        self._go = threading.Event()
        self._go.set()
        self._held = threading.Event()

    def vocabulary_size(self, kind: Kind) -> int:
        return sys.maxunicode + 1

    def tokenize(
        self,
        texts: Sequence[Text],
        kind: Kind,
        max_tokens: int | None = None,
        truncation_side: TruncationSide = "right",
    ) -> TokenizedTexts:
        limit = max_tokens or self.max_tokens
        self.kinds.update({text: kind for text in texts if isinstance(text, str)})
        whole = [fake_ids(text) if isinstance(text, str) else list(text) for text in texts]
        left = truncation_side == "left"
        return TokenizedTexts(
            [
                row
                if len(row) <= limit
                else [row[0], *row[-limit + 1 :]]
                if left
                else [*row[: limit - 1], row[-1]]
                for row in whole
            ],
            [len(row) for row in whole],
        )

    def tokens(self, text: str, kind: Kind, *, special_tokens: bool = True) -> list[Token]:
        return [Token(ord(text[i]), text[i], False, i, i + 1) for i in range(len(text))]

    def decode(self, ids: Sequence[int], kind: Kind, *, skip_special_tokens: bool = True) -> str:
        return "".join(map(chr, ids))

    def side(self, kind: Kind) -> Side:
        return Side(kind if self.two_towers else "document", "", self.max_tokens)

    def token_spans(self, text: str, kind: Kind) -> list[tuple[int, int]]:
        return [(index, index + 1) for index in range(len(text))]

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        self.batches.append([list(row) for row in token_ids])
        self.towers.append(tower)
        if not self._go.is_set():
            self._held.set()
            assert self._go.wait(30)
        self.on_batch(token_ids)
        return np.stack([fake_vector(row) for row in token_ids])

    @contextmanager
    def holding(self) -> Iterator[None]:
        """A batch that starts inside is answered when the block is left."""
        self._held.clear()
        self._go.clear()
        try:
            yield
        finally:
            self._go.set()

    def wait_until_held(self) -> None:
        """Returns when a batch waits for the end of the ``holding`` block."""
        assert self._held.wait(10), "no batch reached the encoder"


def fake_ids(text: str, max_tokens: int = 10**9) -> list[int]:
    """Token ids of a text as the fake encoder sees them."""
    return [1, *(ord(character) for character in text[: max_tokens - 2]), 2]


def fake_vector(ids: Sequence[int]) -> Vectors:
    """Unit vector of token ids as the fake encoder gives it; other ids have another."""
    seed = hashlib.blake2b(np.array(ids, dtype="<u4").tobytes(), digest_size=4 * FakeEncoder.dim)
    numbers = np.frombuffer(seed.digest(), dtype="<i4").astype(np.float32)
    unit: Vectors = numbers / np.linalg.norm(numbers)
    return unit
