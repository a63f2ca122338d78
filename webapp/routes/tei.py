"""Text Embeddings Inference."""

from flask_openapi import APIBlueprint, Tag

tei = APIBlueprint(
    "tei",
    __name__,
    abp_tags=[Tag(name="TEI", description="As clients of Text Embeddings Inference call it")],
)
