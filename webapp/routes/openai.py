"""OpenAI's embeddings and models."""

from flask_openapi import APIBlueprint, Tag

openai = APIBlueprint(
    "openai",
    __name__,
    abp_tags=[Tag(name="OpenAI", description="As OpenAI's clients call it")],
)
