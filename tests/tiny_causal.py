"""A tiny GPT-NeoX that says what a test wants, with a byte-level tokenizer as Polyglot's."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

END = "<|endoftext|>"

_CORPUS = [
    "네, 수수료는 500원이며 앱에서 내실 수 있습니다. [1]",
    "### 명령어: ### 입력: ### 응답: ### 질문: 참고 자료: 이전",
    "당신은 참고 자료를 바탕으로 한국어 질문에 답하는 상담원입니다. 다음 규칙을 지켜 주세요.",
]


def save_causal(
    folder: Path,
    said: str,
    *,
    end: bool = True,
    loop: bool = False,
    chat_template: str = "",
    positions: int = 4096,
) -> tuple[Path, Sequence[int]]:
    """A model that answers what ends in a line break with ``said``.

    Attention and layers add nothing, and the head gives each token the one after it in ``said``;
    so no token may be in it twice.

    Args:
        folder: where it is saved.
        said: the answer.
        end: whether the token that ends answers comes behind it.
        loop: whether the answer begins anew instead.
        chat_template: in Jinja, if the tokenizer has one.
        positions: tokens that it reads and writes together.

    Returns:
        The folder, and the tokens of ``said``.
    """
    tokenizer = _tokenizer()
    ids: list[int] = tokenizer(said, add_special_tokens=False).input_ids
    (line_break,) = tokenizer("\n", add_special_tokens=False).input_ids
    chain = [line_break, *ids]
    assert len(set(chain)) == len(chain), "a token is in it twice"
    if end:
        chain.append(tokenizer.eos_token_id)
    if loop:
        chain.append(ids[0])
    if chat_template:
        tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    _model(len(tokenizer), chain, tokenizer.eos_token_id, positions).save_pretrained(folder)
    return folder, ids


def _tokenizer() -> Any:
    trained = ByteLevelBPETokenizer()
    # Enough for the syllables of the corpus; others are two or three tokens.
    trained.train_from_iterator(_CORPUS * 50, vocab_size=420, special_tokens=[END], min_frequency=2)
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=trained._tokenizer, eos_token=END)


def _model(vocabulary_size: int, chain: Sequence[int], end_id: int, positions: int) -> Any:
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=positions,
        bos_token_id=end_id,
        eos_token_id=end_id,
    )
    model: Any = GPTNeoXForCausalLM(config)
    with torch.no_grad():
        for layer in model.gpt_neox.layers:
            for linear in (layer.attention.dense, layer.mlp.dense_4h_to_h):
                linear.weight.zero_()
                linear.bias.zero_()
        # Random vectors of so many numbers are nearly at right angles.
        embeddings = torch.nn.functional.normalize(torch.randn(vocabulary_size, 128))
        model.gpt_neox.embed_in.weight.copy_(embeddings)
        head = model.get_output_embeddings().weight
        head.zero_()
        for token, following in pairwise(chain):
            head[following] += embeddings[token]
    return model
