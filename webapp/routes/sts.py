"""The STS service."""

from flask_openapi import APIBlueprint, Tag

sts = APIBlueprint(
    "sts",
    __name__,
    abp_tags=[Tag(name="STS", description="As clients of the STS service call it")],
)
