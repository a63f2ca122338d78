"""What writes answers from collections, as the settings say."""

from inference.answering.base import Generator
from inference.answering.extractive import ExtractiveGenerator
from inference.reader import Reader
from webapp.settings import Settings


def create_generator(settings: Settings, reader: Reader | None) -> Generator:
    """The generator; what it needs is loaded, or connected to, for the first answer."""
    return ExtractiveGenerator(reader)
