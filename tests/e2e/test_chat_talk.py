"""The conversation of the chat page: asking, answers that arrive in pieces, sources, and votes."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from chat_server import ChatHandler, ChatServer, answering, chat_server
from playwright.sync_api import Locator, Page, Route, expect
from running_service import StartService

NewPage = Callable[..., Page]
Ask = Callable[..., Any]
Fill = Callable[..., str]
Send = Callable[[str, str], None]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]

pytestmark = pytest.mark.usefixtures("no_collections")

READABLE = 4.5
LOAD_MS = 60_000
DOCUMENTS = [
    {
        "id": "card",
        "title": "카드를 잃어버렸습니다.",
        "text": "고객센터나 앱에서 바로 분실 신고를 해 주세요.",
        "metadata": {"type": "카드", "level": 1},
    },
    {
        "id": "abroad",
        "title": "해외로 돈을 보내려면 무엇이 필요한가요?",
        "text": "받는 분의 영문 이름과 주소, 계좌번호가 필요합니다.",
        "metadata": {"type": "외환"},
    },
    {
        "id": "fee",
        "title": "해외로 돈을 보낼 때 수수료는 얼마인가요?",
        "text": "금액에 따라 5천 원에서 2만 원 사이의 수수료를 받습니다.",
        "metadata": {"type": "외환"},
    },
]
QUESTION = "카드를 잃어버렸어요"
ELSEWHERE = "김치찌개는 어떻게 끓이나요?"
PIECES = ("분실 신고를 ", "해 주세요. [", "1", "] 자세한 것은 [7]을 보세요.")
WRITTEN = "".join(PIECES)


@pytest.fixture
def collection(fill: Fill) -> str:
    """A collection of three documents."""
    return fill("은행", DOCUMENTS)


@pytest.fixture(scope="module")
def model() -> Iterator[ChatServer]:
    """A language model's server; what it answers is each test's."""
    with chat_server(answering(PIECES)) as server:
        yield server


@pytest.fixture(scope="module")
def writing_service(start_service: StartService, model: ChatServer) -> str:
    """Address of a service whose answers that model writes; the collections are the same."""
    settings = {"generator": "openai", "generator_url": model.url, "generator_model": "m"}
    return start_service(**settings).url


@pytest.fixture
def written(page: Page, writing_service: str, model: ChatServer, collection: str) -> Page:
    """The page of the service whose answers a language model writes."""
    model.replies[:] = [answering(PIECES)]
    model.requests.clear()
    model.left.clear()
    page.goto(f"{writing_service}/chat?collection={quote(collection)}")
    expect(question(page)).to_be_visible()
    return page


def open_page(page: Page, collection: str) -> None:
    page.goto(f"/chat?collection={quote(collection)}")
    expect(question(page)).to_be_visible()


def question(page: Page) -> Locator:
    return page.get_by_label("질문", exact=True)


def put(page: Page, text: str) -> Locator:
    """Asks, and gives the turn once its answer is whole."""
    before = page.locator(".turn").count()
    question(page).fill(text)
    question(page).press("Enter")
    turn = page.locator(".turn").nth(before)
    expect(turn).to_be_visible()
    # The first answer of a service waits for its reader.
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "false", timeout=30_000)
    return turn


def answer_of(turn: Locator) -> str:
    return turn.locator(".turn__answer").text_content() or ""


def api_answer(ask: Ask, collection: str, text: str, **options: Any) -> Any:
    return ask(f"/api/collections/{quote(collection)}/ask", {"question": text, **options})


def exported(*flags: str) -> list[dict[str, Any]]:
    """The votes as `ssang feedback export` gives them."""
    command = [sys.executable, "-m", "webapp.cli", "feedback", "export", *flags]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


class Held:
    """An answer whose pieces come when a test lets them."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces
        self._next = threading.Semaphore(0)

    def let(self) -> None:
        self._next.release()

    def __call__(self, handler: ChatHandler) -> None:
        handler.begin()
        for text in self._pieces:
            self._next.acquire(timeout=60)
            handler.piece(text)
        self._next.acquire(timeout=60)
        handler.piece("", "stop")
        handler.event("[DONE]")
        handler.end()


def test_sample_is_asked_with_two_clicks(page: Page, ask: Ask) -> None:
    page.goto("/chat")
    expect(question(page)).to_be_hidden()
    page.get_by_role("button", name="예시 FAQ로 시작하기").click()
    expect(question(page)).to_be_focused(timeout=LOAD_MS)
    expect(page.locator("#about")).to_have_text("sample-faq · 문서 60개")
    chip = page.get_by_role("button", name="해외로 돈을 보내고 싶어요")
    chip.click()
    expect(page.locator(".vote")).to_be_visible()
    expect(chip).to_be_hidden()
    expect(question(page)).to_be_focused()
    reply = api_answer(ask, "sample-faq", "해외로 돈을 보내고 싶어요")
    assert reply["found"]
    assert answer_of(page.locator(".turn")) == reply["answer"]
    expect(page.locator("#said")).to_have_text(f"답변: {reply['answer']}")


def test_citation_opens_its_source_with_the_passage_marked(
    page: Page, ask: Ask, collection: str
) -> None:
    open_page(page, collection)
    turn = put(page, QUESTION)
    source = api_answer(ask, collection, QUESTION)["sources"][0]
    assert source["document"]["id"] == "card"
    details = turn.locator("details").first
    expect(details).not_to_have_attribute("open", "")
    turn.get_by_role("button", name="출처 1: 카드를 잃어버렸습니다.").click()
    expect(details).to_have_attribute("open", "")
    expect(details.locator("summary")).to_be_focused()
    expect(details).to_be_in_viewport()
    assert details.locator("mark").all_text_contents() == [source["passage"]["text"]]
    expect(details).to_contain_text("카드를 잃어버렸습니다.")
    expect(details).to_contain_text("고객센터나 앱에서 바로 분실 신고를 해 주세요.")
    expect(details.locator("summary")).to_contain_text(f"{source['similarity']:.2f}")
    details.get_by_role("button", name="type 카드").click()
    expect(page.locator("#documents-heading")).to_have_text("조건에 맞는 문서 1개")


@pytest.mark.parametrize("emoji", ["", "😀" * 40])
def test_passage_of_a_long_document_is_marked_after_a_reload_too(
    page: Page, ask: Ask, fill: Fill, emoji: str
) -> None:
    filler = "오늘은 하늘이 맑고 바람이 잔잔해서 산책하기 좋습니다. " * 150
    card = "카드를 잃어버리셨다면 고객센터에 전화해 분실 신고를 해 주세요. " * 10
    document = {"id": "long", "title": "안내", "text": f"{emoji}{filler}{card}{filler}".strip()}
    fill("긴-글", [document])
    open_page(page, "긴-글")
    turn = put(page, QUESTION)
    passage = api_answer(ask, "긴-글", QUESTION)["sources"][0]["passage"]
    assert "카드를 잃어버리셨다면" in passage["text"]
    for _ in range(3):
        turn.get_by_role("button", name="출처 1").first.click()
        assert turn.locator("mark").all_text_contents() == [passage["text"]]
        page.reload()
        expect(turn).to_be_visible()
    stored = page.evaluate("JSON.stringify(sessionStorage)")
    assert len(stored) < len(document["text"])
    turn.get_by_role("button", name="도움이 되었습니다").click()
    expect(page.locator("#said")).to_contain_text("고맙습니다")
    assert exported("--collection", "긴-글")[-1]["document"] == passage["text"]


def test_question_is_sent_whole_where_its_last_syllable_is_being_composed(
    page: Page, collection: str
) -> None:
    open_page(page, collection)
    question(page).focus()
    keys = page.context.new_cdp_session(page)
    page.keyboard.type("카드를 잃어버렸어")
    for syllable in ("ㅇ", "요"):
        keys.send(
            "Input.imeSetComposition", {"text": syllable, "selectionStart": 1, "selectionEnd": 1}
        )
    expect(question(page)).to_have_value(QUESTION)
    # The Enter that only ends the syllable, as Chromium and as Safari tell of it.
    for telling in ({"isComposing": True}, {"keyCode": 229}):
        question(page).evaluate(
            """(field, telling) => field.dispatchEvent(new KeyboardEvent(
              "keydown", { key: "Enter", bubbles: true, cancelable: true, ...telling }))""",
            telling,
        )
    expect(page.locator(".turn")).to_have_count(0)
    keys.send("Input.insertText", {"text": "요"})
    expect(question(page)).to_have_value(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".turn__question")).to_contain_text(QUESTION)
    expect(page.locator(".vote")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(1)
    expect(question(page)).to_have_value("")


def test_shift_and_enter_break_the_line(page: Page, collection: str) -> None:
    open_page(page, collection)
    question(page).press_sequentially("카드를")
    height = question(page).evaluate("field => field.offsetHeight")
    page.keyboard.press("Shift+Enter")
    question(page).press_sequentially("잃어버렸어요")
    expect(question(page)).to_have_value("카드를\n잃어버렸어요")
    assert question(page).evaluate("field => field.offsetHeight") > height
    page.keyboard.press("Enter")
    expect(page.locator(".turn__question")).to_contain_text("카드를\n잃어버렸어요")


def test_nothing_is_sent_without_a_question(page: Page, collection: str) -> None:
    open_page(page, collection)
    question(page).fill(" \n")
    page.get_by_role("button", name="보내기").click()
    expect(question(page)).to_be_focused()
    expect(page.locator(".turn")).to_have_count(0)


def test_answer_is_seen_arriving(written: Page, model: ChatServer) -> None:
    page = written
    held = Held(*PIECES)
    model.replies[:] = [held]
    page.evaluate(
        """() => {
          window.said = [];
          const place = document.getElementById("said");
          new MutationObserver(() => window.said.push(place.textContent)).observe(
            place, { childList: true, characterData: true, subtree: true });
        }"""
    )
    question(page).fill(QUESTION)
    question(page).press("Enter")
    turn = page.locator(".turn")
    expect(turn.locator(".turn__waiting")).to_have_text("답변을 쓰고 있습니다")
    expect(turn.locator("details").first).to_be_visible()  # Sources come before the text.
    held.let()
    expect(turn.locator(".turn__answer")).to_have_text("분실 신고를 ")
    expect(turn.locator(".turn__waiting")).to_be_hidden()
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "true")
    held.let()
    expect(turn.locator(".turn__answer")).to_have_text("분실 신고를 해 주세요. ")
    for _ in range(3):
        held.let()
    expect(page.locator("#turns")).to_have_attribute("aria-busy", "false")
    assert answer_of(turn) == WRITTEN
    # There is a source 1 and no source 7.
    assert turn.locator(".cite").all_text_contents() == ["[1]"]
    expect(turn).to_contain_text("언어 모델이 쓴 답변입니다.")
    assert page.evaluate("window.said") == ["관련 문서를 찾고 있습니다", f"답변: {WRITTEN}"]


def test_stop_ends_the_work_and_keeps_what_came(written: Page, model: ChatServer) -> None:
    page = written
    held = Held("분실 ", *["신고 "] * 50)
    model.replies[:] = [held, answering(PIECES)]
    question(page).fill(QUESTION)
    question(page).press("Enter")
    held.let()
    expect(page.locator(".turn__answer")).to_have_text("분실 ")
    expect(page.get_by_role("button", name="보내기")).to_be_hidden()
    question(page).fill("다음 질문")
    page.keyboard.press("Enter")  # Not while an answer is on its way; the text stays.
    expect(question(page)).to_have_value("다음 질문")
    page.get_by_role("button", name="멈추기").click()
    expect(page.get_by_text("답변을 멈추었습니다.", exact=True).first).to_be_visible()
    expect(page.locator("#said")).to_have_text("답변을 멈추었습니다.")
    expect(question(page)).to_be_focused()
    # Piece by piece: a server learns that its client is gone from what it can no longer send.
    for _ in range(50):
        held.let()
        if model.left.wait(0.5):
            break
    assert model.left.is_set()
    expect(page.locator(".turn__answer")).to_have_text("분실 ")
    expect(page.locator(".vote")).to_have_count(0)

    page.reload()
    expect(page.locator(".turn__answer")).to_have_text("분실 ")
    page.get_by_role("button", name="다시 물어보기").click()
    expect(page.locator(".vote")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(1)
    assert answer_of(page.locator(".turn")) == WRITTEN
    # What was stopped is not taken for something that was said.
    assert "분실 신고" not in json.dumps(model.requests[-1]["messages"][1:-1], ensure_ascii=False)


def test_answer_that_breaks_off_can_be_asked_for_again(written: Page, model: ChatServer) -> None:
    page = written

    def broken(handler: ChatHandler) -> None:
        handler.begin()
        handler.piece("분실 ")
        handler.close_connection = True

    model.replies[:] = [broken, answering(PIECES)]
    turn = put(page, QUESTION)
    expect(turn.get_by_role("alert").or_(turn.locator(".alert")).first).to_be_visible()
    assert answer_of(turn) == "분실 "
    expect(turn.locator(".vote")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("답변을 끝까지 받지 못했습니다.")).to_be_visible()
    page.get_by_role("button", name="다시 물어보기").click()
    expect(page.locator(".vote")).to_be_visible()
    assert answer_of(page.locator(".turn")) == WRITTEN


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(429, "overloaded", "지금은 요청이 많습니다. 7초 뒤에"), (503, "model_unavailable", "모델이")],
)
def test_refusal_is_told_as_on_other_pages(
    page: Page, collection: str, expected_errors: list[str], status: int, code: str, words: str
) -> None:
    expected_errors.append(str(status))
    refusal = {"error": {"code": code, "message": "busy"}}

    def refuse(route: Route) -> None:
        route.fulfill(status=status, json=refusal, headers={"Retry-After": "7"})

    page.route("**/ask", refuse)
    open_page(page, collection)
    turn = put(page, QUESTION)
    expect(turn.locator(".alert")).to_contain_text(words)
    expect(turn.locator(".alert")).to_contain_text("서버의 설명: busy")
    page.unroute("**/ask")
    turn.get_by_role("button", name="다시 물어보기").click()
    expect(page.locator(".vote")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(1)


def test_stream_that_ends_early_is_no_answer(page: Page, collection: str) -> None:
    body = 'event: sources\ndata: {"found": true, "sources": [], "generator": "x"}\n\n:\n\n'
    half = 'event: text\ndata: {"text": "반쪽"}\n\nevent: text\ndata: {"text": "'
    page.route(
        "**/ask", lambda route: route.fulfill(content_type="text/event-stream", body=body + half)
    )
    open_page(page, collection)
    turn = put(page, QUESTION)
    expect(turn.locator(".alert")).to_contain_text("서버의 응답이 중간에 끊겼습니다.")
    assert answer_of(turn) == "반쪽"


def test_follow_up_is_understood_until_a_new_conversation(
    page: Page, ask: Ask, collection: str
) -> None:
    sent: list[Any] = []
    page.on(
        "request",
        lambda request: sent.append(request.post_data_json) if "/ask" in request.url else None,
    )
    open_page(page, collection)
    first = put(page, "해외로 돈을 보내고 싶어요")
    follow = put(page, "그럼 수수료는요?")
    history = [
        {"role": "user", "content": "해외로 돈을 보내고 싶어요"},
        {"role": "assistant", "content": answer_of(first)},
    ]
    assert [body["history"] for body in sent] == [[], history]
    reply = api_answer(ask, collection, "그럼 수수료는요?", history=history)
    assert answer_of(follow) == reply["answer"]
    assert reply["sources"][0]["document"]["id"] == "fee"

    page.get_by_role("button", name="새 대화").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(question(page)).to_be_focused()
    expect(page.get_by_text("무엇이든 물어보세요")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    put(page, "그럼 수수료는요?")
    assert sent[-1]["history"] == []


def test_conversation_survives_a_reload_and_the_language(page: Page, collection: str) -> None:
    open_page(page, collection)
    turn = put(page, QUESTION)
    put(page, ELSEWHERE)
    answer = answer_of(turn)
    turn.get_by_role("button", name="도움이 되었습니다").click()
    expect(page.locator("#said")).to_contain_text("고맙습니다")
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    assert answer_of(page.locator(".turn").first) == answer
    page.get_by_role("button", name="English").click()
    up = page.get_by_role("button", name="Helpful", exact=True)
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Nothing related was found in your documents.")).to_be_visible()
    page.get_by_role("button", name="Source 1: 카드를 잃어버렸습니다.").click()
    expect(page.locator(".turn mark").first).to_be_visible()
    up.click()
    expect(page.locator("#said")).to_have_text("Your feedback was taken back.")
    assert [vote for vote in exported() if vote["collection"] == collection] == []


def test_each_collection_has_its_own_conversation(
    page: Page, fill: Fill, send: Send, collection: str
) -> None:
    fill("다른-것", DOCUMENTS[1:])
    open_page(page, collection)
    put(page, QUESTION)
    picker = page.get_by_label("컬렉션", exact=True)
    picker.select_option("다른-것")
    expect(page.locator("#about")).to_have_text("다른-것 · 문서 2개")
    expect(page.locator(".turn")).to_have_count(0)
    put(page, "해외 송금")
    picker.select_option(collection)
    expect(page.locator(".turn__question")).to_contain_text(QUESTION)
    page.get_by_role("button", name="컬렉션 삭제").click()
    page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    expect(page.locator(".turn__question")).to_contain_text("해외 송금")
    assert QUESTION not in page.evaluate("JSON.stringify(sessionStorage)")


def test_votes_are_kept_changed_and_taken_back(page: Page, ask: Ask, collection: str) -> None:
    open_page(page, collection)
    turn = put(page, QUESTION)
    up = turn.get_by_role("button", name="도움이 되었습니다")
    down = turn.get_by_role("button", name="도움이 되지 않았습니다")
    source = api_answer(ask, collection, QUESTION)["sources"][0]

    def kept() -> list[tuple[object, ...]]:
        members = ("query", "document", "label", "document_id", "answer")
        return [
            tuple(vote[member] for member in members)
            for vote in exported("--collection", collection)
        ]

    def expected(label: int) -> list[tuple[object, ...]]:
        return [(QUESTION, source["passage"]["text"], label, "card", answer_of(turn))]

    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#said")).to_have_text("의견을 남겨 주셔서 고맙습니다.")
    assert kept() == expected(1)
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(up).to_have_attribute("aria-pressed", "false")
    assert kept() == expected(0)
    down.click()
    expect(down).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#said")).to_have_text("남기신 의견을 지웠습니다.")
    assert kept() == []


def test_vote_that_is_refused_is_told(
    page: Page, collection: str, expected_errors: list[str]
) -> None:
    expected_errors.append("507")
    full = {"error": {"code": "storage_full", "message": "no room"}}
    page.route("**/api/feedback", lambda route: route.fulfill(status=507, json=full))
    open_page(page, collection)
    turn = put(page, QUESTION)
    up = turn.get_by_role("button", name="도움이 되었습니다")
    up.click()
    expect(turn.locator(".alert")).to_contain_text("서버에 저장할 공간이 없습니다.")
    expect(up).to_have_attribute("aria-pressed", "false")


def test_nothing_found_is_said_and_leads_to_a_search(page: Page, collection: str) -> None:
    open_page(page, collection)
    turn = put(page, ELSEWHERE)
    expect(turn).to_contain_text("올려 두신 문서에서 관련된 내용을 찾지 못했습니다.")
    expect(page.locator("#said")).to_contain_text("찾지 못했습니다.")
    expect(turn.locator(".vote, .cite, details")).to_have_count(0)
    turn.get_by_role("button", name="검색으로 찾아보기").click()
    expect(page.locator("#query")).to_have_value(ELSEWHERE)
    expect(page.locator("#query")).to_be_focused()
    expect(page.locator("#result .ranking__row")).to_have_count(3)


def test_collection_that_cannot_be_asked_says_why(
    page: Page, send: Send, collection: str, expected_errors: list[str]
) -> None:
    send("PUT", "/api/collections/빈-것")
    page.goto(f"/chat?collection={quote('빈-것')}")
    expect(page.get_by_text("아직 올리신 문서가 없습니다")).to_be_visible()
    expect(question(page)).to_be_hidden()
    page.goto(f"/chat?collection={quote('없는-것')}")
    expect(page.get_by_text("어느 컬렉션에 물어볼지 골라 주세요")).to_be_visible()
    expect(question(page)).to_be_hidden()
    page.get_by_label("컬렉션", exact=True).select_option(collection)
    expect(question(page)).to_be_visible()
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    page.wait_for_load_state("networkidle")  # What the filter offers is fetched after the list.
    expected_errors.append("404")
    send("DELETE", f"/api/collections/{collection}")
    question(page).fill(QUESTION)
    question(page).press("Enter")
    expect(page.get_by_text("‘은행’ 컬렉션이 없습니다.")).to_be_visible()
    expect(question(page)).to_be_hidden()


def test_keyboard_alone_is_enough(page: Page, collection: str) -> None:
    open_page(page, collection)
    question(page).focus()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="보내기")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".vote")).to_be_visible()
    expect(question(page)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="도움이 되지 않았습니다")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".source__head").last).to_be_focused()
    page.locator(".cite").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".source__head").first).to_be_focused()
    expect(page.locator(".source__head").first).to_be_in_viewport()
    page.keyboard.press("Space")
    expect(page.locator("details.source").first).not_to_have_attribute("open", "")


def test_new_turns_are_scrolled_to_and_the_field_stays(
    new_page: NewPage, fill: Fill, collection: str
) -> None:
    page = new_page(viewport={"width": 1280, "height": 700})
    open_page(page, collection)
    for _ in range(4):
        turn = put(page, QUESTION)
        expect(turn.locator(".turn__question")).to_be_in_viewport(ratio=1)
        expect(turn.locator(".vote")).to_be_in_viewport(ratio=1)
        expect(question(page)).to_be_in_viewport(ratio=1)
        covered = turn.locator(".vote").evaluate(
            """vote => {
              const { left, bottom } = vote.getBoundingClientRect();
              return !vote.contains(document.elementFromPoint(left + 5, bottom - 5));
            }"""
        )
        assert not covered
    expect(page.get_by_label("컬렉션", exact=True)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
@pytest.mark.parametrize("width", [320, 375, 1000])
def test_phones_have_the_conversation_first(
    new_page: NewPage, fill: Fill, width: int, locale: str
) -> None:
    unbroken = {"id": "u", "title": "가" * 300, "text": "a" * 600, "metadata": {"type": "나" * 90}}
    fill("x" * 60, [*DOCUMENTS, unbroken])
    page = new_page(viewport={"width": width, "height": 740}, locale=locale)
    page.goto("/chat")
    field = page.locator("#question")
    expect(field).to_be_in_viewport()
    for text in (QUESTION, "가" * 300):
        field.fill(text)
        page.locator("#ask-send").click()
        expect(page.locator(".turn__foot, .turn__nothing").last).to_be_visible()
        expect(page.locator("#turns")).to_have_attribute("aria-busy", "false")
    for details in page.locator("details.source > summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(field).to_be_in_viewport(ratio=1)
    below = page.evaluate(
        """document.querySelector(".conversation").getBoundingClientRect().bottom
           <= document.querySelector(".collection").getBoundingClientRect().top"""
    )
    assert below == (width < 992)
    if below:
        page.get_by_role(
            "link", name="컬렉션과 검색" if locale == "ko-KR" else "Collection"
        ).click()
        expect(page.locator("#collection")).to_be_in_viewport()


def test_phone_s_keyboard_does_not_cover_the_answer(new_page: NewPage, collection: str) -> None:
    page = new_page(viewport={"width": 375, "height": 740}, has_touch=True, is_mobile=True)
    open_page(page, collection)
    question(page).tap()
    question(page).fill(QUESTION)
    page.get_by_role("button", name="보내기").tap()
    expect(page.locator(".vote")).to_be_visible()
    expect(question(page)).not_to_be_focused()
    expect(page.locator("#turns")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(
    new_page: NewPage,
    contrasts: Contrasts,
    collection: str,
    expected_errors: list[str],
    scheme: str,
) -> None:
    page = new_page(color_scheme=scheme)
    selector = ".conversation :is(p, h2, h3, a, button, span, mark, summary, li)"
    open_page(page, collection)
    measured = contrasts(page, selector)
    turn = put(page, QUESTION)
    turn.locator(".cite").click()
    turn.get_by_role("button", name="도움이 되었습니다").click()
    put(page, ELSEWHERE)
    expected_errors.append("429")
    refusal = {"error": {"code": "overloaded", "message": "busy"}}
    page.route("**/ask", lambda route: route.fulfill(status=429, json=refusal))
    put(page, QUESTION)
    measured += contrasts(page, selector)
    assert len(measured) > 25
    assert [pair for pair in measured if pair[0] and pair[1] < READABLE] == []


def test_markup_stays_text(written: Page, model: ChatServer, fill: Fill) -> None:
    page = written
    markup = '<img src=x onerror="window.attacked = true">'
    model.replies[:] = [answering([markup, f" [1] {markup}"])]
    document = {"id": "m", "title": f"카드 {markup}", "text": markup, "metadata": {"t": markup}}
    fill("은행", [document])
    turn = put(page, f"카드를 잃어버렸어요 {markup}")
    assert answer_of(turn) == f"{markup} [1] {markup}"
    expect(turn.locator(".turn__question")).to_contain_text(markup)
    for details in turn.locator("summary").all():
        details.click()
    assert page.locator(".conversation img").count() == 0
    assert page.evaluate("window.attacked") is None
