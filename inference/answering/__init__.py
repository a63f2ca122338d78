"""Answers to questions from the documents of a collection, with their sources."""

from inference.answering.base import Generator
from inference.errors import InvalidInput
from inference.reader import Reader

GENERATORS = ("extractive", "openai", "local", "sagemaker")
"""What can write answers."""


def open_generator(
    kind: str,
    *,
    model: str = "",
    url: str = "",
    key: str = "",
    max_tokens: int = 512,
    prompt_tokens: int = 3000,
    reader: Reader | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Generator:
    """What writes answers. It starts no thread and asks no server yet.

    Args:
        kind: one of :data:`GENERATORS`.
        model: for openai, as its server calls it; for local, a folder, a ``model.tar.gz`` or a hub
            id; for sagemaker, the endpoint's name.
        url: of openai's server, or of another Runtime than AWS's.
        key: for openai.
        max_tokens: of an answer.
        prompt_tokens: of a prompt.
        reader: finds the sentence for extractive, where it is to be found.
        device, precision, threads: for local, as in :func:`inference.encoders.load_encoder`.

    Raises:
        InvalidInput: there is no such kind, or it lacks a setting or a package.
        NotFound: there is no such model.
    """
    # Imported here, because each has libraries of its own.
    if kind == "extractive":
        from inference.answering.extractive import ExtractiveGenerator

        return ExtractiveGenerator(reader)
    if kind == "openai":
        from inference.answering.openai import OpenAIGenerator

        return OpenAIGenerator(
            model, url=url, key=key, max_tokens=max_tokens, prompt_tokens=prompt_tokens
        )
    if kind == "sagemaker":
        from inference.answering.sagemaker import SageMakerGenerator

        return SageMakerGenerator(
            model, url=url, max_tokens=max_tokens, prompt_tokens=prompt_tokens
        )
    if kind == "local":
        from inference.answering.local import open_local

        return open_local(
            model,
            max_tokens=max_tokens,
            prompt_tokens=prompt_tokens,
            device=device,
            precision=precision,
            threads=threads,
        )
    raise InvalidInput(f"generator must be one of {', '.join(GENERATORS)}.", item="generator")
