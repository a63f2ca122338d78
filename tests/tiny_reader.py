"""A small reader whose numbers follow from the names of its tensors alone.

They are the same under every release of transformers, so that answers which one release gave can be
compared with those of another.
"""

import json
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForQuestionAnswering, BertConfig, RobertaConfig

Kind = Literal["bert", "klue"]

WINDOW_TOKENS = 96

# In the order of their ids. KLUE's has the padding second, as RoBERTa's positions expect it.
_SPECIALS = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "klue": ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
}
_HANGUL = range(ord("가"), ord("힣") + 1)
_OTHERS = range(ord("!"), ord("~") + 1)

_SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def save_reader(folder: Path, kind: Kind = "bert") -> Path:
    """A reader of 96 tokens, each of which is a character.

    The one of KLUE's kind is a RoBERTa with one token type and BERT's special tokens.
    """
    vocabulary = _save_tokenizer(folder, kind)
    if kind == "bert":
        config: Any = BertConfig(
            **_SHAPE, vocab_size=vocabulary, max_position_embeddings=WINDOW_TOKENS, pad_token_id=0
        )
    else:
        config = RobertaConfig(
            **_SHAPE,
            vocab_size=vocabulary,
            max_position_embeddings=WINDOW_TOKENS + 2,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    auto_class: Any = AutoModelForQuestionAnswering
    model = auto_class.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(_numbers(name, tuple(weight.shape)))
    model.save_pretrained(folder)
    return folder


def _numbers(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    # Wide at the end, so that answers stand out.
    width = 2.0 if name.startswith("qa_outputs") else 0.3
    middle = 1.0 if name.endswith("LayerNorm.weight") else 0.0
    return torch.from_numpy(draw.normal(middle, width, shape).astype(np.float32))


def _save_tokenizer(folder: Path, kind: Kind) -> int:
    specials = _SPECIALS[kind]
    characters = [chr(code) for codes in (_OTHERS, _HANGUL) for code in codes]
    pieces = [*specials, *characters, *(f"##{character}" for character in characters)]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=False, strip_accents=False, lowercase=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, numbers[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(specials)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name[1:-1].lower()}_token": name for name in specials}
    inputs = ["input_ids", "attention_mask"] + (["token_type_ids"] if kind == "bert" else [])
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": WINDOW_TOKENS,
        "clean_up_tokenization_spaces": False,
        "model_input_names": inputs,
        **names,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return len(pieces)
