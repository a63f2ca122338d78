"""Bodies of the question answering service of the ratsnlp tutorial."""

from pydantic import BaseModel, Field

from webapp.wire import WireBody


class RatsnlpQuestion(WireBody):
    """A question and the text that holds the answer; what is empty has no answer."""

    question: str = Field("", examples=["훈민정음은 언제 창제되었나요?"])
    context: str = Field("", examples=["세종은 1443년에 훈민정음을 창제하였다."])


class RatsnlpAnswer(BaseModel):
    """Both again, and the answer."""

    question: str
    context: str
    answer: str = Field(description="A part of the context; empty where there is none.")
