"""Answers from texts: against transformers' pipeline, over many windows, and from odd files."""

import json
import pickle
import shutil
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from running_service import wait_until
from tiny_model import edit_json, save_bert
from tiny_reader import Kind, save_reader
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from inference.errors import (
    DeadlineExceeded,
    EmptyInput,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    SsangError,
)
from inference.job import Usage
from inference.lifecycle import State
from inference.reader import Answer, Reader
from inference.reader_model import ReaderLimits, open_reader
from inference.spans import best_spans
from inference.tokenizer import PairWindow

RECORDED = json.loads((Path(__file__).parent / "data/pipeline.json").read_text("utf-8"))

# As in record_pipeline.py.
LIMITS = ReaderLimits(max_answer_length=12, doc_stride=32)

QUESTION = "훈민정음은 언제 창제되었나요?"
CONTEXT = "세종은 조선의 제4대 국왕으로, 1443년에 훈민정음을 창제하였다."

MakeReader = Callable[..., Reader]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("readers")
    return {
        "bert": save_reader(folder / "bert", "bert"),
        "klue": save_reader(folder / "klue", "klue"),
    }


@pytest.fixture(scope="module")
def make_reader(folders: dict[Kind, Path]) -> Iterator[MakeReader]:
    """Makes readers of a small model, on one thread; closed at the end."""
    with ExitStack() as stack:

        def make(kind: Kind = "bert", limits: ReaderLimits = LIMITS, **options: Any) -> Reader:
            lightning = options.pop("lightning", None)
            model = (
                open_reader("", lightning=str(lightning), base=str(folders[kind]), limits=limits)
                if lightning
                else open_reader(str(folders[kind]), limits=limits)
            )
            reader = Reader(model, device="cpu", threads=1, **options)
            stack.callback(reader.close)
            return reader

        yield make


@pytest.fixture(scope="module")
def reader(make_reader: MakeReader) -> Reader:
    """One that is loaded."""
    reader = make_reader()
    reader.answer(QUESTION, [CONTEXT])
    return reader


# Against the pipeline


@pytest.mark.parametrize("kind", ["bert", "klue"])
def test_answers_are_those_of_the_pipeline(make_reader: MakeReader, kind: Kind) -> None:
    reader = make_reader(kind)
    compared = 0
    for row in RECORDED[kind]:
        if len(row["windows"]) > 1:
            continue
        found = reader.answer(row["question"], [row["context"]])
        _check_equal(found.answers, found.no_answer_score, row["windows"][0])
        compared += 1
    assert compared >= 14


@pytest.mark.parametrize("kind", ["bert", "klue"])
def test_windows_and_their_answers_are_those_of_the_pipeline(
    make_reader: MakeReader, kind: Kind
) -> None:
    reader = make_reader(kind)
    several = [row for row in RECORDED[kind] if len(row["windows"]) > 1]
    assert len(several) >= 5
    for row in several:
        whole = reader.answer(row["question"], [row["context"]], n_best=20)
        windows = _windows(reader, row["question"], row["context"])
        assert len(windows) == len(row["windows"])
        alone = [_answer_of_window(reader, row["context"], window) for window in windows]
        for (answers, no_answer_score), recorded in zip(alone, row["windows"], strict=True):
            _check_equal(answers, no_answer_score, recorded)
        # What is best of all was best in its own window.
        best = whole.answers[0]
        assert (best.start, best.end) in {
            (answers[0].start, answers[0].end) for answers, _ in alone
        }


def _check_equal(answers: list[Answer], no_answer_score: float, recorded: dict[str, Any]) -> None:
    best = answers[0]
    assert best.text == recorded["answer"]
    assert (best.start, best.end) == (recorded["start"], recorded["end"])
    assert best.score == pytest.approx(recorded["score"], abs=1e-5)
    assert no_answer_score == pytest.approx(recorded["no_answer_score"], abs=1e-5)


def _windows(reader: Reader, question: str, context: str) -> list[PairWindow]:
    return reader._windows(question, [context])[1]


def _answer_of_window(
    reader: Reader, context: str, window: PairWindow
) -> tuple[list[Answer], float]:
    """What the reader finds in one window of a context, as if there were no other."""
    logits = list(reader._read([window], Usage()))
    return reader._decode([context], [0], [window], logits, 1)


# Windows and scores


def test_windows_cover_the_text_and_begin_a_stride_apart(reader: Reader) -> None:
    context = " ".join(chr(ord("가") + number) for number in range(300))
    windows = _windows(reader, QUESTION, context)
    starts = [window.spans[0][0] for window in windows]
    # Every second character is a token.
    assert starts == list(range(0, starts[-1] + 1, 2 * 32))
    assert {span for window in windows for span in window.spans} == {
        (place, place + 1) for place in range(0, len(context), 2)
    }
    assert all(len(window.ids) <= 96 for window in windows)


def test_a_long_question_is_cut(make_reader: MakeReader) -> None:
    reader = make_reader(limits=ReaderLimits(max_query_length=5, doc_stride=32))
    short, long = (
        reader.answer(question, [CONTEXT]).answers for question in ("훈민정음은", "훈민정음은언제")
    )
    assert short == long


def test_an_answer_has_no_more_tokens_than_allowed(make_reader: MakeReader) -> None:
    reader = make_reader(limits=ReaderLimits(max_answer_length=2, doc_stride=32))
    answers = reader.answer(QUESTION, [CONTEXT], n_best=20).answers
    assert {len(answer.text.replace(" ", "")) for answer in answers} == {1, 2}


def test_scores_of_all_windows_share_one_distribution(reader: Reader) -> None:
    """A span's score falls by what the softmax over starts and ends gains with another text."""
    alone = reader.answer(QUESTION, [CONTEXT])
    doubled = reader.answer(QUESTION, [CONTEXT, CONTEXT], n_best=2)
    assert [answer.document_index for answer in doubled.answers] == [0, 1]
    for answer in doubled.answers:
        assert answer.text == alone.answers[0].text
        assert answer.score == pytest.approx(alone.answers[0].score / 4, rel=1e-5)
    assert doubled.no_answer_score == pytest.approx(alone.no_answer_score / 4, rel=1e-5)


def test_the_better_document_comes_first(reader: Reader) -> None:
    texts = [row["context"] for row in RECORDED["bert"][:6]]
    found = reader.answer(QUESTION, texts, n_best=20)
    scores = [answer.score for answer in found.answers]
    assert scores == sorted(scores, reverse=True)
    for answer in found.answers:
        assert texts[answer.document_index][answer.start : answer.end] == answer.text


def test_parts_do_not_overlap_where_windows_do(reader: Reader) -> None:
    context = RECORDED["bert"][-1]["context"]
    found = reader.answer(QUESTION, [context], n_best=20)
    places = sorted((answer.start, answer.end) for answer in found.answers)
    assert len(places) > 5
    assert all(end <= start for (_, end), (start, _) in pairwise(places))


def test_parts_are_cut_from_the_text_itself(reader: Reader) -> None:
    context = "👑  《훈민정음》\u00a0은\t1443년에\r\n창제되었다 \ud800 가a나"
    for answer in reader.answer(QUESTION, [context], n_best=20).answers:
        assert context[answer.start : answer.end] == answer.text
        assert answer.text.strip() == answer.text


def test_a_space_that_a_token_begins_with_is_no_part_of_an_answer(
    folders: dict[Kind, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["bert"], tmp_path / "unigram")
    file = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    vocabulary = tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    marked = [piece.replace("##", "\u2581") for piece in pieces[:-1]]
    tokenizer.model = models.Unigram([(piece, -1.0) for piece in [*marked, "\u2581"]], unk_id=1)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(file)
    with closing(
        Reader(open_reader(str(folder), limits=LIMITS), device="cpu", threads=1)
    ) as reader:
        context = "그 해는 👑 1443년 이었다"
        answers = reader.answer(QUESTION, [context], n_best=20).answers
        (window,) = _windows(reader, QUESTION, context)
        tokens = [context[start:end] for start, end in window.spans]
        # One where a space alone has the best logits, and the word behind it the next.
        logits = np.zeros((2, len(window.ids)), dtype=np.float32)
        logits[:, window.first + tokens.index(" ")] = 9
        logits[:, window.first + tokens.index("👑")] = 5
        (best,), _ = reader._decode([context], [0], [window], [logits], 1)
    assert set(tokens) >= {"그", " 해", " ", "👑"}
    assert len(answers) > 5
    for answer in answers:
        assert context[answer.start : answer.end] == answer.text == answer.text.strip() != ""
    assert best.text == "👑"


def test_blank_documents_are_passed_over(reader: Reader) -> None:
    found = reader.answer(QUESTION, ["", " \n", CONTEXT])
    assert found.answers[0].document_index == 2
    assert found.answers[0].score == reader.answer(QUESTION, [CONTEXT]).answers[0].score


def test_a_text_without_tokens_has_no_answer(reader: Reader) -> None:
    found = reader.answer(QUESTION, ["\x00\x01"])
    assert (found.answers, found.found, found.no_answer_score) == ([], False, 1.0)


def test_best_spans_are_those_of_trying_all() -> None:
    draw = np.random.default_rng(0)
    starts, ends = draw.normal(size=(2, 30)).astype(np.float32)
    tried = sorted(
        (
            (float(starts[first] + ends[last]), first, last)
            for first in range(30)
            for last in range(first, min(first + 7, 30))
        ),
        reverse=True,
    )
    found = best_spans(starts, ends, longest=7, count=12)
    assert [(span.start, span.end) for span in found] == [row[1:] for row in tried[:12]]
    assert best_spans(starts[:2], ends[:2], longest=7, count=12)[3:] == []


# No answer


@pytest.mark.parametrize(("beyond", "found"), [(-0.01, False), (0.01, True)])
def test_threshold_is_compared_with_the_log_odds(
    make_reader: MakeReader, reader: Reader, beyond: float, found: bool
) -> None:
    plain = reader.answer(QUESTION, [CONTEXT])
    assert plain.found
    odds = float(np.log(plain.no_answer_score / plain.answers[0].score))
    answers = make_reader(no_answer_threshold=odds + beyond).answer(QUESTION, [CONTEXT])
    assert answers.found is found
    assert answers.answers == plain.answers


def test_threshold_of_the_model_holds_unless_another_is_given(tmp_path: Path) -> None:
    folder = save_reader(tmp_path / "reader")
    (folder / "ssang.json").write_text('{"no_answer_threshold": -1000}')
    model = open_reader(str(folder), limits=LIMITS)
    for threshold, found in ((None, False), (1000.0, True)):
        reader = Reader(model, device="cpu", threads=1, no_answer_threshold=threshold)
        assert reader.answer(QUESTION, [CONTEXT]).found is found
        reader.close()


# Long texts and many callers


class _Batches:
    """Hears of every batch of a loaded reader."""

    def __init__(self, reader: Reader) -> None:
        reader.answer(QUESTION, [CONTEXT])
        self.batches: list[list[list[int]]] = []
        self.most_waiting = 0
        self._reader = reader
        model = reader._batcher.model
        self._encode = model.encode
        model.encode = self._note  # type: ignore[method-assign]

    def _note(self, token_ids: Sequence[Sequence[int]], tower: Any = "document") -> Any:
        self.batches.append([list(ids) for ids in token_ids])
        waiting = sum(job.waiting_texts for job in self._reader._batcher._jobs)
        self.most_waiting = max(self.most_waiting, waiting)
        return self._encode(token_ids, tower)


def test_a_long_text_is_read_to_its_end_a_little_at_a_time(make_reader: MakeReader) -> None:
    reader = make_reader(max_waiting_tokens=4_000)
    heard = _Batches(reader)
    filling = RECORDED["bert"][-1]["context"]
    context = filling * (100_000 // len(filling))
    found = reader.answer(QUESTION, [context], n_best=20)
    windows = _windows(reader, QUESTION, context)
    assert len(windows) > 2_000
    assert sum(map(len, heard.batches)) == len(windows)
    assert found.tokens == sum(len(window.ids) for window in windows)
    assert max(len(batch) * max(map(len, batch)) for batch in heard.batches) <= 512
    # Two slices of sixteen windows, however long the text is.
    assert heard.most_waiting <= 32
    assert len(found.answers) == 20


def test_questions_at_once_share_batches(make_reader: MakeReader) -> None:
    reader = make_reader()
    heard = _Batches(reader)
    texts = [row["context"] for row in RECORDED["bert"][:12]]
    expected = [reader.answer(QUESTION, [text]).answers for text in texts]
    before = len(heard.batches)
    assert before == len(texts)
    held, go = threading.Event(), threading.Event()
    encode = reader._batcher.model.encode

    def hold(token_ids: Any, tower: Any = "document") -> Any:
        held.set()
        assert go.wait(60)
        return encode(token_ids, tower)

    reader._batcher.model.encode = hold  # type: ignore[method-assign]
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        answers[number] = reader.answer(QUESTION, [texts[number]]).answers

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(texts))]
    for thread in threads:
        thread.start()
    assert held.wait(60)
    # What was sent before the first batch began may ride in it.
    batcher = reader._batcher
    wait_until(lambda: len(batcher._jobs) + len(batcher._running) == len(texts))
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(heard.batches) - before < len(texts)
    for number, parts in enumerate(expected):
        assert [part.text for part in answers[number]] == [part.text for part in parts]
        assert answers[number][0].score == pytest.approx(parts[0].score, rel=1e-4)


def test_a_deadline_ends_the_wait(make_reader: MakeReader) -> None:
    reader = make_reader()
    heard = _Batches(reader)
    go = threading.Event()
    encode = reader._batcher.model.encode

    def hold(token_ids: Any, tower: Any = "document") -> Any:
        assert go.wait(60)
        return encode(token_ids, tower)

    reader._batcher.model.encode = hold  # type: ignore[method-assign]
    reader._deadline_s = 0.2
    first = threading.Thread(target=lambda: reader.answer(QUESTION, [CONTEXT]))
    first.start()
    wait_until(lambda: not reader._batcher._jobs and bool(reader._batcher._running))
    with pytest.raises(DeadlineExceeded):
        reader.answer(QUESTION, [CONTEXT])
    go.set()
    first.join(60)
    assert len(heard.batches) == 1


# Loading


def test_the_model_is_loaded_for_the_first_question(make_reader: MakeReader) -> None:
    reader = make_reader()
    assert reader._batcher._thread is None
    assert reader.answer(QUESTION, [CONTEXT]).answers
    assert reader.state is State.READY


def test_a_reader_without_answering_layer_is_refused(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert", positions=96)
    reader = Reader(open_reader(str(folder)), device="cpu")
    with pytest.raises(ModelUnavailable, match="another architecture"):
        reader.answer(QUESTION, [CONTEXT])
    assert reader.state is State.FAILED
    reader.close()


@pytest.mark.parametrize(
    ("question", "documents", "n_best", "error", "item"),
    [
        (" ", [CONTEXT], 1, EmptyInput, "question"),
        (QUESTION, ["", "\n"], 1, EmptyInput, "context"),
        (QUESTION, [], 1, EmptyInput, "context"),
        (QUESTION, [CONTEXT], 0, InvalidInput, "n_best"),
        (QUESTION, [CONTEXT], 21, InvalidInput, "n_best"),
    ],
)
def test_what_cannot_be_asked_is_named(
    reader: Reader,
    question: str,
    documents: list[str],
    n_best: int,
    error: type[SsangError],
    item: str,
) -> None:
    with pytest.raises(error) as caught:
        reader.answer(question, documents, n_best=n_best)
    assert caught.value.item == item


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ReaderLimits(max_seq_length=97), "97, and the reader 'bert' reads 96"),
        (ReaderLimits(max_query_length=81), "96 tokens .* a question may take 81"),
        (ReaderLimits(max_seq_length=79), "79 tokens .* a question may take 64"),
    ],
)
def test_limits_that_leave_no_room_are_refused(
    folders: dict[Kind, Path], limits: ReaderLimits, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        open_reader(str(folders["bert"]), limits=limits)


def test_readers_that_are_not_there() -> None:
    with pytest.raises(NotFound, match="ko-reader"):
        open_reader("no-such-reader")
    with pytest.raises(NotFound, match=r"no\.ckpt"):
        open_reader("", lightning="no.ckpt", base="ko-mini")
    with pytest.raises(InvalidInput, match="reader_base"):
        open_reader("", lightning="no.ckpt")


# Files of PyTorch Lightning


@pytest.fixture
def lightning(folders: dict[Kind, Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes the reader of a kind as Lightning does, with its weights changed if asked to."""
    from transformers import AutoModelForQuestionAnswering

    def write(
        kind: Kind = "bert", change: Callable[[dict[str, Any]], object] = lambda weights: None
    ) -> Path:
        model = AutoModelForQuestionAnswering.from_pretrained(folders[kind])
        weights = {f"model.{name}": weight.half() for name, weight in model.state_dict().items()}
        change(weights)
        state = {
            "epoch": 3,
            "global_step": 1_200,
            "pytorch-lightning_version": "1.6.1",
            "state_dict": weights,
            "hyper_parameters": Namespace(learning_rate=5e-5, max_seq_length=128),
            "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}}],
        }
        file = tmp_path / "epoch=3-val_loss=0.41.ckpt"
        torch.save(state, file)
        return file

    return write


@pytest.mark.parametrize("kind", ["bert", "klue"])
def test_lightning_weights_take_the_place_of_the_base_s(
    lightning: Callable[..., Path], make_reader: MakeReader, kind: Kind
) -> None:
    def turn(weights: dict[str, Any]) -> None:
        weights["model.qa_outputs.weight"] *= -1
        # Older releases of transformers saved it.
        weights["model.bert.embeddings.position_ids"] = torch.arange(96)[None]

    plain = make_reader(kind).answer(QUESTION, [CONTEXT])
    same = make_reader(kind, lightning=lightning(kind))
    assert same.model.name == "epoch=3-val_loss=0.41"
    found = same.answer(QUESTION, [CONTEXT])
    assert found.answers[0].text == plain.answers[0].text
    assert found.answers[0].score == pytest.approx(plain.answers[0].score, rel=0.05)
    turned = make_reader(kind, lightning=lightning(kind, turn)).answer(QUESTION, [CONTEXT])
    assert turned.answers[0].text != plain.answers[0].text


def _drop(weights: dict[str, Any]) -> None:
    del weights["model.qa_outputs.bias"], weights["model.qa_outputs.weight"]


def _add(weights: dict[str, Any]) -> None:
    weights["loss.weight"] = torch.ones(2)


def _reshape(weights: dict[str, Any]) -> None:
    weights["model.qa_outputs.weight"] = torch.ones(3, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop, r"2 \(qa_outputs\.weight, \.\.\.\) missing, none unexpected"),
        (_add, r"none missing, 1 \(loss\.weight\) unexpected"),
        (_reshape, r"other shapes than those of 'bert': .* qa_outputs\.weight"),
    ],
)
def test_lightning_weights_that_do_not_fit_are_told(
    lightning: Callable[..., Path],
    make_reader: MakeReader,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    reader = make_reader(lightning=lightning(change=change))
    with pytest.raises(ModelUnavailable, match=message):
        reader.answer(QUESTION, [CONTEXT])


class _Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.write_text, (self.file, "run")


def test_code_in_a_checkpoint_does_not_run(make_reader: MakeReader, tmp_path: Path) -> None:
    for name, save in (("zip", torch.save), ("pickle", _save_pickle)):
        trace, file = tmp_path / "trace", tmp_path / f"{name}.ckpt"
        save({"state_dict": {}, "callbacks": _Evil(trace)}, file)
        with pytest.raises(ModelUnavailable, match=f"{name}.ckpt is no checkpoint of PyTorch"):
            make_reader(lightning=file).answer(QUESTION, [CONTEXT])
        assert not trace.exists()


def _save_pickle(value: object, file: Path) -> None:
    file.write_bytes(pickle.dumps(value, protocol=2))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 torn"])
def test_damaged_checkpoints_are_told(
    make_reader: MakeReader, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"damaged\.ckpt is no checkpoint"):
        make_reader(lightning=file).answer(QUESTION, [CONTEXT])


def test_padding_does_not_change_answers(reader: Reader) -> None:
    """A short text beside a long one in a batch is answered as it is alone."""
    long = RECORDED["bert"][-1]["context"]
    alone = reader.answer(QUESTION, ["짧은 글이다."]).answers[0]
    both = reader.answer(QUESTION, ["짧은 글이다.", long], n_best=20).answers
    beside = next(answer for answer in both if answer.document_index == 0)
    assert beside.text == alone.text


def test_a_folder_may_name_more_positions_than_its_tokenizer_allows(tmp_path: Path) -> None:
    folder = save_reader(tmp_path / "reader")
    edit_json(folder / "tokenizer_config.json", model_max_length=88)
    assert open_reader(str(folder)).limits.max_seq_length == 88
