"""What a search found, as clients and the command line see it."""

from typing import Any

from inference.answering.base import Source
from inference.corpus.base import Hit
from inference.similarity import Thresholds, grade


def hit_record(hit: Hit | Source, thresholds: Thresholds) -> dict[str, Any]:
    """A document with its scores and the passage that matched, and the grade if it has a cosine."""
    place = hit.passage
    return {
        "score": hit.score,
        "similarity": hit.similarity,
        "grade": None if hit.similarity is None else grade(hit.similarity, thresholds),
        "document": vars(hit.document),
        "passage": {
            **vars(place),
            "text": hit.document.part(place.field, place.start, place.end),
        },
    }
