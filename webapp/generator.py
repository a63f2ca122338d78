"""What writes answers from collections, as the settings say."""

from inference.answering import open_generator
from inference.answering.base import Generator
from inference.reader import Reader
from webapp.settings import Settings


def create_generator(settings: Settings, reader: Reader | None) -> Generator:
    """The generator; what it needs is loaded, or connected to, for the first answer.

    Raises:
        NotFound, InvalidInput: the settings name none that can be used.
    """
    return open_generator(
        settings.generator,
        model=settings.generator_model,
        url=settings.generator_url,
        key=settings.generator_key.get_secret_value(),
        max_tokens=settings.generator_tokens,
        prompt_tokens=settings.prompt_tokens,
        reader=reader,
        device=settings.device,
        precision=settings.torch_precision,
        threads=settings.compute_threads,
    )
