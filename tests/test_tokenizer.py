"""Token ids against those of transformers, and cutting from many threads at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_model import edit_json, save_bert, save_klue_roberta
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from inference.checkpoint import open_checkpoint
from inference.errors import InvalidInput
from inference.tokenizer import (
    Text,
    Token,
    TokenizedTexts,
    Tokenizer,
    TruncationSide,
    replace_surrogates,
)

TEXTS = [
    "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다. " * 4,
    "가",
    "",
    " \n\t ",
    "🙂👨‍👩‍👧 大韓民國",
    "The quick brown fox [SEP] jumps [PAD]",
    "인공지능 기술이 빠르게 발전하고 있습니다.",
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert") / "bert")


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Tokenizer:
    return Tokenizer.load(open_checkpoint(str(bert)))


@pytest.fixture
def model(bert: Path, tmp_path: Path) -> Path:
    """A model that the test may damage."""
    return Path(shutil.copytree(bert, tmp_path / "model"))


@pytest.mark.parametrize("max_tokens", [3, 4, 7, 16, 63, 64, 1000])
def test_cutting_is_that_of_transformers(bert: Path, tokenizer: Tokenizer, max_tokens: int) -> None:
    theirs = AutoTokenizer.from_pretrained(bert)(TEXTS, truncation=True, max_length=max_tokens)
    assert tokenizer.tokenize(TEXTS, max_tokens).ids == theirs["input_ids"]


def test_cutting_is_that_of_transformers_for_klue(tmp_path: Path) -> None:
    folder = save_klue_roberta(tmp_path / "klue")
    theirs = AutoTokenizer.from_pretrained(folder)(TEXTS, truncation=True, max_length=9)
    ours = Tokenizer.load(open_checkpoint(str(folder))).tokenize(TEXTS, 9)
    assert ours.ids == theirs["input_ids"]


@pytest.mark.parametrize("max_tokens", [3, 16, 1000])
def test_cutting_on_the_left_is_that_of_transformers(
    bert: Path, tokenizer: Tokenizer, max_tokens: int
) -> None:
    theirs = AutoTokenizer.from_pretrained(bert, truncation_side="left")
    expected = theirs(TEXTS, truncation=True, max_length=max_tokens)["input_ids"]
    assert tokenizer.tokenize(TEXTS, max_tokens, "left").ids == expected


def test_token_ids_are_only_cut(tokenizer: Tokenizer) -> None:
    whole = tuple(tokenizer.tokenize(TEXTS[:1], 1000).ids[0])
    mixed: list[Text] = [whole, TEXTS[1], (5,), whole]
    sides: list[TruncationSide] = ["right", "left"]
    for side in sides:
        texts = tokenizer.tokenize([TEXTS[0], TEXTS[1]], 10, side)
        read = tokenizer.tokenize(mixed, 10, side)
        assert read.ids == [texts.ids[0], texts.ids[1], [5], texts.ids[0]]
        assert read.lengths == [len(whole), texts.lengths[1], 1, len(whole)]


def test_tokens_are_told_with_their_characters(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokens(TEXTS[5])
    assert [token.id for token in tokens] == tokenizer.tokenize([TEXTS[5]], 1000).ids[0]
    assert tokens[0] == Token(2, "[CLS]", True, None, None)
    for token in tokens[1:-1]:
        assert not token.special
        assert token.text == TEXTS[5][token.start : token.stop]
    assert tokenizer.tokens(TEXTS[5], special_tokens=False) == tokens[1:-1]


def test_tokens_are_decoded(tokenizer: Tokenizer) -> None:
    ids = tokenizer.tokenize([TEXTS[6]], 1000).ids[0]
    assert tokenizer.decode(ids).replace(" ", "") == TEXTS[6].replace(" ", "")
    assert tokenizer.decode(ids, skip_special_tokens=False).startswith("[CLS] ")
    assert tokenizer.decode([10**9]) == ""


def test_cut_text_keeps_its_special_tokens(tokenizer: Tokenizer) -> None:
    (whole,) = tokenizer.tokenize(TEXTS[:1], 1000).ids
    (cut,) = tokenizer.tokenize(TEXTS[:1], 10).ids
    assert cut == [*whole[:9], whole[-1]]
    assert len(whole) > 40


def test_lengths_are_those_before_the_cut(tokenizer: Tokenizer) -> None:
    whole = tokenizer.tokenize(TEXTS, 1000)
    cut = tokenizer.tokenize(TEXTS, 5)
    assert whole.lengths == [len(row) for row in whole.ids]
    assert whole.truncated == [False] * len(TEXTS)
    assert cut.lengths == whole.lengths
    assert cut.truncated == [length > 5 for length in whole.lengths]
    assert max(len(row) for row in cut.ids) == 5


def test_text_of_exactly_the_limit_is_not_cut(tokenizer: Tokenizer) -> None:
    (length,) = tokenizer.tokenize(TEXTS[:1], 1000).lengths
    assert tokenizer.tokenize(TEXTS[:1], length).truncated == [False]
    assert tokenizer.tokenize(TEXTS[:1], length - 1).truncated == [True]


def test_no_texts_give_no_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.tokenize([], 10) == TokenizedTexts([], [])


def test_limits_and_padding_in_the_tokenizer_file_are_not_used(model: Path) -> None:
    """Some models are saved with the settings of their last training step."""
    before = Tokenizer.load(open_checkpoint(str(model))).tokenize(TEXTS, 1000)
    fast = FastTokenizer.from_file(str(model / "tokenizer.json"))
    fast.enable_truncation(4)
    fast.enable_padding(length=50)
    fast.save(str(model / "tokenizer.json"))
    assert Tokenizer.load(open_checkpoint(str(model))).tokenize(TEXTS, 1000) == before


def test_threads_with_other_limits_do_not_disturb_each_other(tokenizer: Tokenizer) -> None:
    limits = [3 + number % 40 for number in range(400)]
    alone = [tokenizer.tokenize(TEXTS, limit) for limit in limits]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda limit: tokenizer.tokenize(TEXTS, limit), limits))
    assert together == alone


def test_text_without_a_token_counts_as_padding() -> None:
    tokenizer = Tokenizer(_bare_tokenizer(), pad_id=7)
    assert tokenizer.special_tokens == 0
    assert tokenizer.tokenize(["", "가 나", "   "], 10) == TokenizedTexts(
        ids=[[7], [1, 2], [7]], lengths=[1, 2, 1]
    )


@pytest.mark.parametrize(
    ("template", "special", "cut"),
    [
        ("$A", 0, [1, 2, 1, 2]),
        ("[CLS] $A", 1, [8, 1, 2, 1]),
        ("$A [SEP]", 1, [1, 2, 1, 9]),
        ("[CLS] $A [SEP] [SEP]", 3, [8, 1, 9, 9]),
    ],
)
def test_any_special_tokens_are_kept(template: str, special: int, cut: list[int]) -> None:
    fast = _bare_tokenizer()
    fast.post_processor = TemplateProcessing(
        single=template, special_tokens=[("[CLS]", 8), ("[SEP]", 9)]
    )
    tokenizer = Tokenizer(fast, pad_id=7)
    assert tokenizer.special_tokens == special
    assert tokenizer.tokenize(["가 나 가 나 가 나"], 4) == TokenizedTexts([cut], [6 + special])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("가나다", "가나다"),
        ("\ud83d\ude42", "🙂"),
        ("가\ud83d", "가\ufffd"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        ("🙂\udfff나", "🙂\ufffd나"),
        ("", ""),
    ],
)
def test_lone_surrogates_are_replaced_and_pairs_joined(text: str, clean: str) -> None:
    assert replace_surrogates(text) == clean


def test_surrogates_are_read_as_what_replaces_them(tokenizer: Tokenizer) -> None:
    texts = ["가\ud83d나", "\ud83d\ude42", "\udc00"]
    clean = [replace_surrogates(text) for text in texts]
    assert tokenizer.tokenize(texts, 64) == tokenizer.tokenize(clean, 64)


@pytest.mark.parametrize("names", [["tokenizer.json"], ["tokenizer.json", "tokenizer_config.json"]])
def test_missing_vocabulary_is_told_and_not_made_up(model: Path, names: list[str]) -> None:
    for name in names:
        (model / name).unlink()
    with pytest.raises(InvalidInput, match=r"'model' has no vocabulary: .*tokenizer\.json"):
        Tokenizer.load(open_checkpoint(str(model)))


def test_vocabulary_as_plain_text_is_read(model: Path) -> None:
    """As models were saved before there were fast tokenizers."""
    before = Tokenizer.load(open_checkpoint(str(model))).tokenize(TEXTS, 64)
    vocabulary = FastTokenizer.from_file(str(model / "tokenizer.json")).get_vocab()
    pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    (model / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    (model / "tokenizer.json").unlink()
    assert Tokenizer.load(open_checkpoint(str(model))).tokenize(TEXTS, 64) == before


@pytest.mark.parametrize("content", ["", "{", "{}", '{"model": {}, "added_tokens": []}'])
def test_damaged_tokenizer_is_told_in_one_sentence(model: Path, content: str) -> None:
    (model / "tokenizer.json").write_text(content)
    with pytest.raises(InvalidInput, match="tokenizer of model 'model' cannot be read") as caught:
        Tokenizer.load(open_checkpoint(str(model)))
    assert "\n" not in caught.value.message


def test_tokenizer_of_a_kind_that_needs_more_than_files_is_told(model: Path) -> None:
    edit_json(model / "config.json", model_type="nonsense")
    (model / "tokenizer_config.json").unlink()
    (model / "tokenizer.json").unlink()
    with pytest.raises(InvalidInput, match="'model'"):
        Tokenizer.load(open_checkpoint(str(model)))


def _bare_tokenizer() -> FastTokenizer:
    fast = FastTokenizer(WordLevel({"가": 1, "나": 2, "[UNK]": 0}, unk_token="[UNK]"))
    fast.pre_tokenizer = Whitespace()
    return fast
