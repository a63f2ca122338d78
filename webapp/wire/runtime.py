"""Parameters and errors of the SageMaker Runtime.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Runtime.html
"""

from pydantic import BaseModel, Field

PREFIX = "X-Amzn-SageMaker-"


class EndpointPath(BaseModel):
    """Name of an endpoint: any, unless endpoint_name is set."""

    name: str = Field(examples=["ssang"])


class InvocationHeader(BaseModel):
    """What is said about an invocation; other headers of AWS's clients are ignored."""

    variant: str = Field(
        "AllTraffic", alias=f"{PREFIX}Target-Variant", description="Given back, and ignored."
    )


class StreamHeader(InvocationHeader):
    """What is said about an invocation whose answer is streamed."""

    accept: str = Field(
        "", alias=f"{PREFIX}Accept", description="Types the payload may have; default: JSON."
    )


class AsyncHeader(BaseModel):
    """What is said about an asynchronous invocation."""

    input_location: str = Field(
        "",
        alias=f"{PREFIX}InputLocation",
        description="file:// address of the input, below data_dir; without it, the body is read.",
    )
    content_type: str = Field(
        "", alias=f"{PREFIX}Content-Type", description="Type of the input; default: JSON."
    )
    accept: str = Field(
        "", alias=f"{PREFIX}Accept", description="Types the output may have; default: JSON."
    )
    inference_id: str = Field(
        "",
        alias=f"{PREFIX}Inference-Id",
        max_length=64,
        description="Given back; made up if missing.",
    )
    ttl_s: int = Field(
        21_600,
        alias=f"{PREFIX}RequestTTLSeconds",
        ge=60,
        le=21_600,
        description="Seconds the invocation may wait before it fails.",
    )
    timeout_s: int = Field(
        900,
        alias=f"{PREFIX}InvocationTimeoutSeconds",
        ge=1,
        le=3600,
        description="Seconds the model may take before the invocation fails.",
    )


class AsyncReply(BaseModel):
    """Name of an asynchronous invocation."""

    InferenceId: str


class RuntimeErrorReply(BaseModel):
    """Every error of this contract; the last three tell what the model answered."""

    Message: str
    OriginalStatusCode: int | None = None
    OriginalMessage: str | None = None
    LogStreamArn: str | None = None
