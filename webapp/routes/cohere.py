"""Cohere's rerank."""

from flask_openapi import APIBlueprint, Tag

cohere = APIBlueprint(
    "cohere",
    __name__,
    abp_tags=[Tag(name="Cohere", description="Rerank as Cohere's clients call it")],
)
