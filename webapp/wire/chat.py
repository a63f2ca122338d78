"""Bodies of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from webapp.answer_schema import SourceReply
from webapp.wire import WireBody
from webapp.wire.openai import OpenAIUsage


def _join_parts(value: Any) -> Any:
    """The text of a message that comes in parts, as models take it that see pictures."""
    if not isinstance(value, list):
        return value
    texts = [part.get("text") for part in value if isinstance(part, dict)]
    if len(texts) != len(value) or not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("parts", "Only parts of type text are read: send text")
    return "\n".join(text for text in texts if isinstance(text, str))


def _refuse_more(value: int | None) -> int | None:
    if value not in (None, 1):
        raise PydanticCustomError("n", "There is one answer: leave n out, or make it 1")
    return value


def _refuse_tools(value: list[Any] | None) -> list[Any] | None:
    if value:
        raise PydanticCustomError("tools", "No tools are called here: leave them out")
    return value


_Tools = Annotated[list[Any] | None, AfterValidator(_refuse_tools)]


class ChatMessage(WireBody):
    """A message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        str | None,
        BeforeValidator(_join_parts, json_schema_input_type=str | list[dict[str, Any]] | None),
    ] = Field(
        None,
        description="A text, or a list of parts of type text.",
        examples=["체크카드를 분실했어요"],
    )


class StreamOptions(WireBody):
    """What a stream tells."""

    include_usage: bool | None = Field(None, description="Tell the usage in a chunk of its own.")


class ChatRequest(WireBody):
    """A conversation about a collection."""

    model: str = Field(
        description="collection: and the name of a collection.", examples=["collection:faq"]
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="The last one of the user is the question, and those of both sides before it "
        "complete it; those of other roles are ignored."
    )
    stream: bool | None = Field(None, description="Send the answer in chunks as it is written.")
    stream_options: StreamOptions | None = None
    n: Annotated[int | None, AfterValidator(_refuse_more)] = Field(
        None, description="1: there is one answer."
    )
    tools: _Tools = Field(None, description="None: no tools are called.")
    functions: _Tools = Field(None, description="None, as of tools.")
    user: str | None = Field(None, description="Ignored.")


class AnswerMessage(BaseModel):
    """The answer, which cites its sources as [1], [2]."""

    role: Literal["assistant"]
    content: str
    refusal: None
    sources: list[SourceReply] = Field(
        description="What the answer draws on, which OpenAI's own answers do not have; none if "
        "nothing in the collection is near the question."
    )


class ChatChoice(BaseModel):
    """The one answer."""

    index: int
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop"]


class ChatUsage(OpenAIUsage):
    """Tokens that were read and written."""

    completion_tokens: int


class ChatReply(BaseModel):
    """An answer from a collection."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage | None = Field(description="null where the generator does not tell.")


class ChatEvent(BaseModel):
    """A server-sent event of an answer; the last one's data is ``[DONE]``."""

    data: str = Field(
        description="A chat.completion.chunk as JSON; the last one's delta holds the sources."
    )
