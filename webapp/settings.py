"""Settings: one row each, read once, from flags, the environment and the platforms' own names."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from inference.errors import InvalidInput
from webapp.sagemaker import container_defaults, named_values

PREFIX = "SSANG_"

# What every client can send in a header as it is.
_KEY = re.compile(r"[!-~]+")

# Where collections can be kept but in a folder.
_CLUSTER = re.compile(r"opensearch\+https?://[^\s/]\S*")

_SECRETS = {"api_keys", "corpus", "generator_key"}


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


def _split_keys(value: Any) -> Any:
    keys = _split(value)
    if isinstance(value, str) and not keys:
        # Taken for no keys, it would leave the service open to everybody.
        raise PydanticCustomError("no_key", "There is no key in it")
    return keys


def _check_key(key: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(key.get_secret_value()):
        raise PydanticCustomError(
            "key", "A key must be of ASCII letters, digits and signs, without spaces"
        )
    return key


def _check_corpus(corpus: SecretStr) -> SecretStr:
    address = corpus.get_secret_value()
    if address and not _CLUSTER.fullmatch(address):
        raise PydanticCustomError(
            "corpus", "It must be like opensearch+https://user:password@host:9200, or empty"
        )
    return corpus


def _check_reader(reader: str) -> str:
    if not reader:
        # In the environment, what is empty counts as not set.
        raise PydanticCustomError("reader", "Name a reader, or none to turn answers off")
    return reader


def _setting(name: str, default: Any, description: str, platform: str = "", **bounds: Any) -> Any:
    """A field that is also read from a name that platforms set, such as PORT."""
    alias = AliasChoices(PREFIX + name.upper(), platform)
    return Field(default, description=description, validation_alias=alias, **bounds)


class Settings(BaseSettings):
    """Every setting of the service; each is the flag ``--name`` and SSANG_NAME."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # Keys would stand in the error's text.
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    model: str = Field(
        "ko-mini", description="embedded model, folder, model.tar.gz, or hub id (org/name@revision)"
    )
    query_model: str = Field("", description="model that reads queries, for two towers")
    document_model: str = Field("", description="model that reads documents, for two towers")
    dimensions: int = Field(0, ge=0, description="cuts vectors to so many numbers; 0 keeps all")
    program: str = Field(
        "inference.py",
        description="file of handlers in the model's folder code, if it is there",
    )
    install_requirements: bool = Field(
        False, description="pip-installs code/requirements.txt of the model at the start"
    )
    strict_model_names: bool = Field(
        False, description="404 for requests that name another model than the one loaded"
    )
    reader: Annotated[str, AfterValidator(_check_reader)] = Field(
        "ko-reader",
        description="model that answers questions: embedded, folder, model.tar.gz or hub id; none "
        "turns answers off",
    )
    reader_checkpoint: str = Field(
        "", description=".ckpt of PyTorch Lightning that takes the reader's place"
    )
    reader_base: str = Field(
        "", description="model that reader_checkpoint was fine-tuned from: folder or hub id"
    )
    max_seq_length: int = Field(
        0, ge=0, description="tokens the reader reads at once; 0 takes what it can, up to 384"
    )
    max_query_length: int = Field(64, ge=1, description="most tokens of a question")
    max_answer_length: int = Field(30, ge=1, description="most tokens of an answer")
    doc_stride: int = Field(
        128, ge=1, description="tokens from one window of a long text to the next"
    )
    no_answer_threshold: float | None = Field(
        None,
        description="log-odds of no answer above which there is none; empty takes the reader's own",
    )
    generator: Literal["extractive", "openai", "local", "sagemaker"] = Field(
        "extractive",
        description="what writes answers from collections: extractive, openai, local or sagemaker",
    )
    generator_model: str = Field(
        "",
        description="its model: as its server calls it, a folder or hub id, or an endpoint's name",
    )
    generator_url: str = Field(
        "", description="its server, such as http://127.0.0.1:11434/v1; empty is OpenAI's, or AWS's"
    )
    generator_key: SecretStr = Field(
        "", validate_default=True, description="the key that its server wants"
    )
    generator_tokens: int = Field(2**9, ge=1, description="most tokens of an answer that it writes")
    prompt_tokens: int = Field(
        3000, ge=600, description="most tokens that it reads: question, conversation and sources"
    )
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = _setting("port", 8000, "port to listen on", "PORT", ge=0, le=65535)
    workers: int = _setting(
        "workers", 0, "processes; 0 chooses from the cores, or 1 on a GPU", "WEB_CONCURRENCY", ge=0
    )
    threads: int = Field(
        128, ge=8, description="requests a worker holds at once, a few of them refusals and health"
    )
    compute_threads: int = Field(
        0, ge=0, description="CPU threads a worker computes with; 0 shares the cores out"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto",
        description="auto (bf16 or fp16 on a GPU; int8 on CPU if it agrees with fp32, else fp32), "
        "fp32, bf16, fp16 or int8",
    )
    max_batch_tokens: int = Field(
        0, ge=0, description="padded tokens of a batch; 0 takes what suits the device"
    )
    max_waiting_tokens: int = Field(
        262_144, ge=1, description="tokens that may wait for the model before a 429"
    )
    cache_mb: int = Field(
        0, ge=0, description="MiB of vectors a worker keeps for texts that come again; 0 keeps none"
    )
    max_body_bytes: int = Field(32 * 2**20, ge=1, description="largest request body")
    max_inflight_bytes: int = Field(
        256 * 2**20, ge=1, description="request bodies a worker holds at once before a 429"
    )
    max_answer_values: int = Field(
        2**27, ge=1, description="numbers in one answer: texts x dimensions, queries x documents"
    )
    endpoint_name: str = Field(
        "", description="the one endpoint the SageMaker Runtime answers for; empty answers for any"
    )
    max_invocation_bytes: int = Field(
        6 * 2**20, ge=1, description="largest body of a SageMaker Runtime invocation"
    )
    data_dir: str = Field(
        "",
        description="folder of collections and asynchronous invocations; empty keeps collections "
        "in the user's data folder and refuses the invocations",
    )
    corpus: Annotated[SecretStr, AfterValidator(_check_corpus)] = Field(
        "",
        validate_default=True,
        description="OpenSearch that keeps the collections, such as "
        "opensearch+https://user:password@host:9200; empty keeps them in the data folder",
    )
    exact: bool = Field(
        False, description="compares queries with every vector of a collection, however many"
    )
    default_accept: str = Field(
        "application/json", description="type of /invocations' answers where any will do"
    )
    deadline_s: float = Field(
        60.0, gt=0, description="seconds a text may wait for the model before a 504"
    )
    hang_timeout_s: float = Field(
        120.0, gt=0, description="seconds of one batch after which the worker is replaced"
    )
    trusted_proxies: int = Field(
        0, ge=0, description="proxies in front whose X-Forwarded-* headers are believed"
    )
    root_path: str = Field("", description="path the service is mounted under, such as /ssang")
    api_keys: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(_check_key)], ...],
        NoDecode,
        BeforeValidator(_split_keys),
    ] = Field((), description="keys, separated by commas, one of which every request must carry")
    tunnel: Literal["", "ngrok"] = Field(
        "", description="ngrok gives the service a public address; needs NGROK_AUTHTOKEN"
    )
    no_auth: bool = Field(
        False, description="makes no API key for a tunnel: whoever knows the address may ask"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="origins, separated by commas, whose pages may call the API"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="json, text, or auto: text on a terminal"
    )

    @property
    def torch_precision(self) -> str:
        """That of readers and generators, which run on torch alone."""
        return "fp32" if self.precision == "int8" else self.precision

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values are looked for, first come first served."""
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, named_values(os.environ)),
            dotenv_settings,
            InitSettingsSource(settings_cls, container_defaults(os.environ)),
        )


def read_settings(**flags: Any) -> Settings:
    """The settings of this process.

    Flags win over SSANG_* variables, these over the platforms' own names, these over the same in
    a file ``.env`` of the working folder, and that over the defaults, which inside a SageMaker
    container are those of :func:`webapp.sagemaker.container_defaults`.

    Raises:
        InvalidInput: a value that its setting cannot take; the message names both.
    """
    try:
        return Settings(**flags)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        shown = "" if name in _SECRETS else f"={fault['input']}"
        name = name if name.isupper() else environment_name(name)
        raise InvalidInput(f"{name}{shown}: {fault['msg']}.", item=name) from error


def environment_name(name: str) -> str:
    """SSANG_MAX_BODY_BYTES for ``max_body_bytes``."""
    return PREFIX + name.upper()


def as_environment(flags: Mapping[str, Any]) -> dict[str, str]:
    """Flags as the environment variables that mean the same."""
    return {environment_name(name): str(value) for name, value in flags.items()}
