"""The student before training: a Korean vocabulary on an English transformer.

The layers are the teacher's. Only the word pieces are new, and each starts as a mean of the
English ones that it stands beside in aligned sentences, so that the student reads Korean a little
before it has seen a single step.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from training.sources import Aligned

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_POSITIONS = 512
_NEIGHBOURS = 3

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


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """WordPiece over Korean and lower-cased English: NFC, Hangul syllables kept whole."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=4_000,
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in SPECIALS}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def normalizer() -> normalizers.Normalizer:
    """What happens to a text before it is cut into words."""
    return normalizers.Sequence(
        [normalizers.NFC(), normalizers.BertNormalizer(strip_accents=False, lowercase=True)]
    )


def split_particles(tokenizer: Tokenizer) -> None:
    """Cuts what follows a noun off each word, so that a token ends where an answer may end.

    Answers are nouns without their particles, and a vocabulary of frequent pieces has both in one:
    of KorQuAD's answers a fifth end within a piece. Some nouns only look as if they ended in a
    particle and are cut too, which costs a token and nothing else.
    """
    endings = "|".join(sorted(_PARTICLES, key=len, reverse=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Split(Regex(f"(?<=.)(?:{endings})$"), "isolated"),
        ]
    )


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves and loads it."""
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=_POSITIONS,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


def build_student(
    teacher: BertModel, teacher_tokenizer: Tokenizer, tokenizer: Tokenizer, pairs: Sequence[Aligned]
) -> BertModel:
    """The teacher with another vocabulary.

    A piece that both vocabularies have keeps its vector. Any other one becomes the mean of the
    English pieces with the highest Dice coefficients over ``pairs`` - 2 n(a, b) / (n(a) + n(b)),
    n counting sentences (L. R. Dice, Measures of the amount of ecologic association between
    species, Ecology 26, 1945) - weighted by them. What never occurs gets the mean of all.
    """
    config = BertConfig(**_kept(teacher.config.to_dict()), vocab_size=tokenizer.get_vocab_size())
    student = BertModel(config)
    state = {
        name: value
        for name, value in teacher.state_dict().items()
        if name != "embeddings.word_embeddings.weight"
    }
    student.load_state_dict(state, strict=False)
    old = teacher.embeddings.word_embeddings.weight.detach().float().numpy()
    new = _aligned_embeddings(old, teacher_tokenizer, tokenizer, pairs)
    student.embeddings.word_embeddings.weight.data = torch.from_numpy(new)
    return student


def _kept(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "vocab_size"}


def _aligned_embeddings(
    old: npt.NDArray[np.float32],
    teacher_tokenizer: Tokenizer,
    tokenizer: Tokenizer,
    pairs: Sequence[Aligned],
) -> npt.NDArray[np.float32]:
    known = teacher_tokenizer.get_vocab()
    count = tokenizer.get_vocab_size()
    english = _occurrences([pair.english for pair in pairs], teacher_tokenizer, len(old))
    korean = _occurrences([pair.korean for pair in pairs], tokenizer, count)
    together = csr_array(korean.T @ english)
    totals = english.sum(axis=0)
    own = korean.sum(axis=0)
    new = np.tile(old.mean(axis=0), (count, 1)).astype(np.float32)
    for token, place in tokenizer.get_vocab().items():
        if token in known:
            new[place] = old[known[token]]
            continue
        row = slice(together.indptr[place], together.indptr[place + 1])
        if row.start == row.stop:
            continue
        columns = together.indices[row]
        dice = 2 * together.data[row] / (own[place] + totals[columns])
        best = np.argsort(-dice, kind="stable")[:_NEIGHBOURS]
        new[place] = dice[best] @ old[columns[best]] / dice[best].sum()
    return new


def _occurrences(texts: Sequence[str], tokenizer: Tokenizer, width: int) -> csr_array:
    """Which sentence holds which piece: 0 or 1 of shape (texts, width)."""
    rows = [sorted(set(encoding.ids)) for encoding in _encode(texts, tokenizer)]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return csr_array((np.ones(len(columns), np.float32), columns, starts), (len(rows), width))


def _encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[Any]:
    encodings: list[Any] = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return encodings
