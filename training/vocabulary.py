"""The vocabulary: of a large multilingual one, the pieces that the text at hand is made of.

Nine tenths of the weights of a small multilingual encoder are embeddings of pieces that neither
Korean nor English text ever uses. Without them the rest works as before.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

_MASK = "<mask>"
_POSITIONS = 512
_SPACE = "▁"

# Latin, signs, the letters and syllables of Hangul, full-width signs.
_BLOCKS = (
    ("", "\u024f"),
    ("\u2000", "\u21ff"),
    ("\u3000", "\u303f"),
    ("\u3131", "\u318e"),
    ("\uac00", "\ud7a3"),
    ("\uff00", "\uffef"),
)

# Particles, forms of the copula and the like, which follow a noun without a space.
_PARTICLES = (
    *(
        "은",
        "는",
        "이",
        "가",
        "을",
        "를",
        "의",
        "에",
        "에서",
        "에게",
        "에게서",
        "께서",
        "으로",
        "로",
    ),
    *("와", "과", "도", "만", "까지", "부터", "처럼", "보다", "마다", "조차", "하고", "이나", "나"),
    *("에는", "에도", "에서는", "에서의", "으로는", "로는", "으로의", "로의", "으로도", "로도"),
    *("으로서", "로서", "으로써", "와의", "과의", "까지의", "부터의", "만이", "만을"),
    *("들", "들이", "들은", "들을", "들의", "인", "간", "경", "쯤", "씩", "이자", "이란", "란"),
    *("이다", "이며", "이고", "이라", "라고", "이라고", "라는", "이라는", "이었다", "였다"),
    *("이었던", "였던", "이었으며", "였으며", "이었고", "였고"),
)


def normalizer() -> normalizers.Normalizer:
    """What happens to a text before it is cut into pieces: NFC, lower case, single spaces."""
    cleaned = normalizers.BertNormalizer(
        strip_accents=False, lowercase=True, handle_chinese_chars=False
    )
    return normalizers.Sequence(
        [normalizers.NFC(), cleaned, normalizers.Replace(Regex(" {2,}"), " ")]
    )


def unigram(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """A tokenizer of pieces and their log-probabilities, the special ones before all others.

    (T. Kudo, Subword regularization, ACL 2018.)
    """
    vocabulary = [*((special, 0.0) for special in SPECIALS), *pieces, (_MASK, 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIALS.index("<unk>")))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1",
        special_tokens=[(special, SPECIALS.index(special)) for special in ("<s>", "</s>")],
    )
    return tokenizer


def trim(
    bert: BertModel, tokenizer: Tokenizer, texts: Iterable[str], size: int
) -> tuple[BertModel, Tokenizer]:
    """The same transformer with the pieces of which texts are made, and a tokenizer of them.

    Pieces of Hangul alone and single characters of the Korean and Latin blocks are kept in any
    case, so that no word is unknown; of the others the most frequent ones, up to ``size`` in all.

    Args:
        bert: row i of its word embeddings belongs to piece i of the tokenizer.
        tokenizer: a Unigram model of pieces that mark a space with U+2581.
        texts: sentences, in the languages that the model is to read.
        size: pieces at most, if those to keep in any case are not more.

    Raises:
        ValueError: the tokenizer is of another kind.
    """
    model = json.loads(tokenizer.to_str())["model"]
    if model["type"] != "Unigram":
        raise ValueError(f"Only a Unigram vocabulary can be trimmed, not {model['type']}.")
    pieces = [(piece, score) for piece, score in model["vocab"]]
    whole = Tokenizer(models.Unigram(pieces, unk_id=model["unk_id"]))
    whole.normalizer = normalizer()
    whole.pre_tokenizer = pre_tokenizers.Metaspace()
    counts: Counter[int] = Counter()
    for encoding in whole.encode_batch_fast(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
    special = [numbers[piece] for piece in (*SPECIALS, _MASK)]
    kept = {number for piece, number in numbers.items() if _is_basic(piece)}.difference(special)
    settled = kept.union(special)
    others = [number for number, _ in counts.most_common() if number not in settled]
    kept.update(others[: max(0, size - len(settled))])
    rows = [*special[:-1], *sorted(kept), special[-1]]
    config = bert.config.to_dict() | {"vocab_size": len(rows), "pad_token_id": 0}
    trimmed = BertModel(BertConfig(**config), add_pooling_layer=False)
    words = "embeddings.word_embeddings.weight"
    state = dict(bert.state_dict())
    state[words] = state[words][torch.tensor(rows)]
    trimmed.load_state_dict(state)
    return trimmed, unigram([pieces[number] for number in sorted(kept)])


def split_particles(tokenizer: Tokenizer) -> None:
    """Cuts what follows a noun off each word, so that a token ends where an answer may end.

    Answers are nouns without their particles, and a vocabulary of frequent pieces has both in one:
    of KorQuAD's answers a fifth end within a piece. Some nouns only look as if they ended in a
    particle and are cut too, which costs a token and nothing else.

    A tokenizer that cuts so already stays as it is.
    """
    endings = "|".join(sorted(_PARTICLES, key=len, reverse=True))
    ending = f"(?<=.)(?:{endings})$"
    present = json.loads(tokenizer.to_str())["pre_tokenizer"] or {}
    if any(part.get("pattern") == {"Regex": ending} for part in present.get("pretokenizers", ())):
        return
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            tokenizer.pre_tokenizer,
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Split(Regex(ending), "isolated"),
        ]
    )


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves and loads it."""
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=_POSITIONS,
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        mask_token=_MASK,
    )


def _is_basic(piece: str) -> bool:
    text = piece.removeprefix(_SPACE)
    if len(text) > 1:
        return all("가" <= char <= "힣" for char in text)
    return any(low <= text <= high for low, high in _BLOCKS)
