"""The page of collections: putting documents in, looking at them, and searching."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

NewPage = Callable[..., Page]
Ask = Callable[..., Any]
Contrasts = Callable[[Page, str], list[tuple[str, float]]]
Send = Callable[[str, str], None]
Fill = Callable[..., str]

pytestmark = pytest.mark.usefixtures("no_collections")

READABLE = 4.5
UPLOAD_MS = 60_000
DOCUMENTS = [
    {
        "id": "card",
        "title": "카드를 잃어버렸습니다.",
        "text": "고객센터나 앱에서 바로 분실 신고를 해 주세요.",
        "metadata": {"type": "카드", "level": 1},
    },
    {
        "id": "rain",
        "title": "내일 비가 오나요?",
        "text": "내일은 전국에 비가 내리겠습니다.",
        "metadata": {"type": "날씨", "level": 2},
    },
    {
        "id": "stew",
        "title": "김치찌개는 어떻게 끓이나요?",
        "text": "잘 익은 김치를 돼지고기와 볶다가 물을 붓고 푹 끓입니다.",
        "metadata": {"type": ["음식", "날씨"], "level": 1},
    },
]
QUERY = "신용카드를 분실했어요"


@pytest.fixture
def collection(fill: Fill) -> str:
    """A collection of three documents."""
    return fill("생활", DOCUMENTS)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": str(at), "title": f"{at}번", "text": f"{at}번째 글"} for at in range(count)]


def open_page(page: Page, **state: str) -> None:
    page.goto("/chat?" + "&".join(f"{key}={quote(value)}" for key, value in state.items()))


def search_for(page: Page, query: str) -> None:
    page.get_by_label("무엇을 찾으시나요?").fill(query)
    page.get_by_role("button", name="검색", exact=True).click()
    wait_for_hits(page)


def wait_for_hits(page: Page) -> None:
    expect(page.locator("#output")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#answer")).to_be_visible()


def titles(page: Page) -> list[str]:
    return page.locator(".entry__title").filter(visible=True).all_inner_texts()


def title(document: int) -> str:
    return str(DOCUMENTS[document]["title"])


def table(rows: list[tuple[str, ...]]) -> FilePayload:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return payload("나의 문서.csv", text.getvalue())


def payload(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}


def upload(page: Page, file: FilePayload) -> None:
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.locator("#progress")).to_be_hidden(timeout=UPLOAD_MS)
    expect(page.locator("#upload-send")).to_have_attribute("aria-busy", "false")


def totals(page: Page) -> dict[str, str]:
    names = page.locator(".totals dt").all_inner_texts()
    return dict(zip(names, page.locator(".totals dd").all_inner_texts(), strict=True))


def api_hits(ask: Ask, name: str, query: str, **options: Any) -> list[dict[str, Any]]:
    body = {"query": query, **options}
    hits: list[dict[str, Any]] = ask(f"/api/collections/{quote(name)}/search", body)["hits"]
    return hits


def test_sample_is_one_click_away(page: Page, ask: Ask) -> None:
    page.goto("/chat")
    expect(page.get_by_text("아직 컬렉션이 없습니다.")).to_be_visible()
    expect(page.locator("#finder")).to_be_hidden()
    page.get_by_role("button", name="생활 FAQ 60개로 해 보기").click()
    expect(page.locator("#documents-heading")).to_have_text("문서 60개", timeout=UPLOAD_MS)
    expect(page.locator("#collection-facts")).to_contain_text("문서 60개")
    page.get_by_role("button", name="인증서 암호가 기억나지 않아요").click()
    wait_for_hits(page)
    query = page.locator("#query").input_value()
    hits = api_hits(ask, "sample-faq", query)
    assert titles(page) == [hit["document"]["title"] for hit in hits]
    expect(page.locator("mark").first).to_be_visible()
    expect(page.locator("#announcement")).to_contain_text(hits[0]["document"]["title"])

    page.get_by_role("button", name="외국에서도 카드를 쓸 수 있나요?").click()
    expect(page.locator(".entry__title").first).to_contain_text("해외에서 카드를")
    page.get_by_role("button", name="생활 FAQ 60개로 해 보기").click()
    expect(page.locator("#documents-heading")).to_have_text("문서 60개", timeout=UPLOAD_MS)
    expect(page.locator("#query")).to_have_value("")


@pytest.mark.parametrize(
    ("mode", "label"), [("", "자동"), ("vector", "의미"), ("keyword", "키워드"), ("hybrid", "함께")]
)
def test_search_gives_the_api_s_hits(
    page: Page, ask: Ask, collection: str, mode: str, label: str
) -> None:
    open_page(page, collection=collection)
    page.get_by_role("radio", name=label).check(force=True)
    page.get_by_label("무엇을 찾으시나요?").press_sequentially(QUERY)
    page.keyboard.press("Enter")
    wait_for_hits(page)
    path = f"/api/collections/{quote(collection)}/search"
    reply = ask(path, {"query": QUERY, "mode": mode or None})
    hits = reply["hits"]
    assert titles(page) == [hit["document"]["title"] for hit in hits]
    assert page.locator("mark").all_inner_texts() == [hit["passage"]["text"] for hit in hits]
    expect(page.locator("#documents")).to_be_hidden()
    numbers = page.locator(".ranking__number").all_text_contents()
    for hit, number in zip(hits, numbers, strict=True):
        if hit["similarity"] is None:
            assert number == f"{hit['score']:.2f}"
        else:
            assert number == f"{hit['similarity']:.4f} 유사도"
    names = {"high": "상", "medium": "중", "low": "하"}
    grades = [names[hit["grade"]] for hit in hits if hit["grade"]]
    assert page.locator(".ranking .grade").all_inner_texts() == grades
    assert (len(grades) == 0) == (mode == "keyword")
    expect(page.get_by_text("순서를 정한 점수")).to_have_count(
        len(hits) if reply["mode"] == "hybrid" else 0
    )


@pytest.mark.parametrize("emoji", ["", "😀" * 40])
def test_passage_of_a_long_document_is_marked(page: Page, ask: Ask, fill: Fill, emoji: str) -> None:
    filler = "오늘은 하늘이 맑고 바람이 잔잔해서 산책하기 좋습니다. " * 60
    card = "카드를 잃어버리셨다면 고객센터에 전화해 분실 신고를 해 주세요. " * 10
    text = f"{emoji}{filler}{card}{filler}".strip()
    fill("긴-글", [{"id": "long", "title": "안내", "text": text}])
    open_page(page, collection="긴-글", q="카드를 잃어버렸어요")
    wait_for_hits(page)
    (hit,) = api_hits(ask, "긴-글", "카드를 잃어버렸어요")
    passage = hit["passage"]
    assert "카드를 잃어버리셨다면" in passage["text"]
    assert page.locator("mark").all_text_contents() == [text[passage["start"] : passage["end"]]]
    shown = page.locator(".entry p").first
    excerpt = shown.text_content() or ""
    assert len(excerpt) < len(text) - 500
    assert excerpt.strip("…") in text
    page.get_by_role("button", name="전체 보기").click()
    assert shown.text_content() == text
    expect(shown).to_be_focused()


def test_more_hits_come_below(page: Page, ask: Ask, fill: Fill) -> None:
    fill("많음", numbered(23))
    open_page(page, collection="많음", q="3번째 글", mode="vector")
    wait_for_hits(page)
    rows = page.locator("#result .ranking__row")
    expect(rows).to_have_count(10)
    page.get_by_role("button", name="더 보기").click()
    expect(rows).to_have_count(20)
    expect(rows.nth(10)).to_be_focused()
    page.get_by_role("button", name="더 보기").click()
    expect(rows).to_have_count(23)
    expect(page.get_by_role("button", name="더 보기")).to_be_hidden()
    hits = api_hits(ask, "많음", "3번째 글", top_k=23, mode="vector")
    assert titles(page) == [hit["document"]["title"] for hit in hits]
    expect(page.locator(".ranking__rank").last).to_have_text("23")


def test_conditions_narrow_documents_and_searches(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    weather = page.get_by_role("button", name="날씨", exact=True)
    weather.click()
    expect(page.locator("#documents-heading")).to_have_text("조건에 맞는 문서 2개")
    expect(weather).to_have_attribute("aria-pressed", "true")
    expect(weather).to_be_focused()
    assert titles(page) == [title(1), title(2)]

    page.get_by_label("조건 추가").fill(" level = 1 ")
    page.get_by_label("조건 추가").press("Enter")
    expect(page.locator("#documents-heading")).to_have_text("조건에 맞는 문서 1개")
    search_for(page, QUERY)
    assert titles(page) == [title(2)]
    assert json.loads(page.evaluate("new URLSearchParams(location.search).get('filter')")) == {
        "type": "날씨",
        "level": "1",
    }
    expect(page.locator("#code-curl")).to_contain_text('"type": "날씨"')

    page.reload()
    wait_for_hits(page)
    assert titles(page) == [title(2)]
    expect(page.locator("#query")).to_have_value(QUERY)
    page.get_by_role("button", name="level=1 조건 빼기").click()
    wait_for_hits(page)
    assert set(titles(page)) == {title(1), title(2)}
    expect(page.get_by_label("조건 추가")).to_be_focused()

    page.get_by_role("button", name="카드", exact=True).click()
    wait_for_hits(page)
    assert set(titles(page)) == {title(0), title(1), title(2)}  # Any of the two values will do.


def test_condition_of_a_document_is_a_click_away(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    page.locator("#documents").get_by_role("button", name="level 2").click()
    expect(page.locator("#documents-heading")).to_have_text("조건에 맞는 문서 1개")
    expect(page.get_by_role("button", name="level=2 조건 빼기")).to_be_focused()
    assert titles(page) == [title(1)]


def test_condition_that_is_none_is_pointed_at(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    page.get_by_label("조건 추가").fill("인증서")
    page.get_by_role("button", name="추가", exact=True).click()
    expect(page.locator("#condition-problem")).to_contain_text("‘이름=값’ 꼴로")
    expect(page.get_by_label("조건 추가")).to_be_focused()
    page.get_by_label("조건 추가").fill("type=카드")
    expect(page.locator("#condition-problem")).to_be_hidden()


def test_bad_row_is_told_and_the_rest_goes_in(page: Page, collection: str, ask: Ask) -> None:
    open_page(page, collection=collection)
    page.get_by_role("button", name="문서 추가").click()
    expect(page.locator("#file")).to_be_focused()
    rows = [("질문", "답변", "type"), ("하나", "첫째 글", "새것"), ("둘", "", "새것")]
    file = table([*rows, ("셋", "셋째 글", "새것")])
    upload(page, file)
    shown = totals(page)
    counts = [shown[name] for name in ("추가", "바뀜", "그대로", "실패")]
    assert counts == ["2", "0", "0", "1"]
    expect(page.locator(".faults__item")).to_have_count(1)
    expect(page.locator(".faults__item")).to_contain_text("2행")
    expect(page.locator(".faults__item")).to_contain_text("서버의 설명:")
    expect(page.locator("#announcement")).to_have_text(
        "문서 2개를 저장했습니다. 1행은 넣지 못했습니다."
    )
    expect(page.locator("#collection-facts")).to_contain_text("문서 5개")
    expect(page.locator("#documents-heading")).to_have_text("문서 5개")
    expect(page.get_by_role("button", name="새것", exact=True)).to_be_visible()
    documents = ask(f"/api/collections/{quote(collection)}/documents")["documents"]
    assert {document["title"] for document in documents} >= {"하나", "셋"}

    upload(page, file)
    expect(page.locator("#collection-facts")).to_contain_text("문서 5개")
    assert [totals(page)[name] for name in ("추가", "그대로")] == ["0", "2"]


def test_dropped_file_makes_a_collection_of_its_name(page: Page, collection: str) -> None:
    open_page(page, collection="없는-것")
    expect(page.locator("#upload")).to_be_hidden()
    dropped = page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["# 제목\\n\\n본문입니다."], "나의 노트 (1).md"));
          return transfer;
        }"""
    )
    page.locator("h1").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.locator("#drop-name")).to_have_text("나의 노트 (1).md")
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.get_by_label("컬렉션", exact=True)).to_have_value("나의-노트-1")
    expect(page.locator("#documents-heading")).to_have_text("문서 1개", timeout=UPLOAD_MS)
    assert titles(page) == ["제목"]


def test_wrong_columns_are_mended_through_the_options(
    page: Page, collection: str, expected_errors: list[str]
) -> None:
    expected_errors.append("422")
    open_page(page, collection=collection)
    page.get_by_role("button", name="문서 추가").click()
    file = table([("가", "나"), ("새 제목", "새 본문")])
    upload(page, file)
    alert = page.locator("#upload-alert")
    expect(alert).to_contain_text("입력한 내용을 처리할 수 없습니다.")
    page.get_by_label("제목 열 이름").fill("가")
    page.get_by_label("본문 열 이름").fill(" 나 ")
    upload(page, file)
    expect(alert).to_be_empty()
    expect(page.locator("#documents-heading")).to_have_text("문서 4개")
    assert "새 제목" in titles(page)


def test_missing_file_is_pointed_at(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    page.get_by_role("button", name="문서 추가").click()
    page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.get_by_text("파일을 골라 주세요.", exact=True)).to_be_visible()
    expect(page.locator("#file")).to_be_focused()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ([], "서버의 응답이 중간에 끊겼습니다."),
        (
            [{"error": {"code": "storage_full", "message": "no room"}}],
            "서버에 저장할 공간이 없습니다.",
        ),
    ],
)
def test_unfinished_upload_says_what_is_stored(
    page: Page, collection: str, ending: list[object], words: str
) -> None:
    progress = {"rows": 16, "added": 15, "replaced": 0, "unchanged": 0, "failed": 1}
    lines = [{"start": {"format": "csv"}}, {"progress": progress}, *ending]
    body = "".join(json.dumps(line) + "\n" for line in lines)

    def cut_short(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(content_type="application/x-ndjson", body=body)
        else:
            route.continue_()

    page.route("**/documents*", cut_short)
    open_page(page, collection=collection)
    page.get_by_role("button", name="문서 추가").click()
    upload(page, table([("text",), ("글",)]))
    expect(page.locator("#upload-alert")).to_contain_text(words)
    expect(page.locator("#upload-report .notice")).to_contain_text(
        "이미 저장한 문서는 그대로 있으니"
    )
    assert totals(page)["추가"] == "15"


def test_stopped_upload_leaves_the_page_ready(page: Page, collection: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route("**/documents*", hold)
    open_page(page, collection=collection)
    page.get_by_role("button", name="문서 추가").click()
    page.locator("#file").set_input_files(table([("text",), ("글",)]))
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="올리기", exact=True).click()
    expect(page.locator("#progress-text")).to_have_text("파일을 보내는 중")
    page.get_by_role("button", name="중단").click()
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.locator("#announcement")).to_contain_text("중단했습니다.")
    expect(page.locator("#upload-alert")).to_be_empty()
    expect(page.locator("#drop-name")).to_have_text("나의 문서.csv")


def test_documents_are_listed_a_page_at_a_time_and_deleted(page: Page, fill: Fill) -> None:
    fill("많음", numbered(23))
    open_page(page, collection="많음")
    rows = page.locator("#documents .ranking__row")
    expect(rows).to_have_count(20)
    page.get_by_role("button", name="‘1번’ 삭제").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("‘1번’ 문서가 컬렉션에서 지워지며")
    dialog.get_by_role("button", name="취소").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="‘1번’ 삭제")).to_be_focused()
    expect(rows).to_have_count(20)

    page.get_by_role("button", name="‘1번’ 삭제").click()
    dialog.get_by_role("button", name="삭제").click()
    expect(page.locator("#documents-heading")).to_have_text("문서 22개")
    expect(rows.nth(1)).to_be_focused()
    expect(page.locator("#announcement")).to_have_text("문서를 삭제했습니다.")
    expect(page.locator("#collection-facts")).to_contain_text("문서 22개")
    page.get_by_role("button", name="더 보기 (남은 3개)").click()
    expect(rows).to_have_count(22)
    assert titles(page) == [f"{at}번" for at in range(23) if at != 1]


def test_collection_is_deleted_once_its_name_was_shown(
    page: Page, ask: Ask, fill: Fill, collection: str
) -> None:
    fill("다른-것", numbered(2))
    open_page(page, collection=collection)
    button = page.get_by_role("button", name="컬렉션 삭제")
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("‘생활’ 컬렉션을 삭제할까요?")
    expect(dialog).to_contain_text("문서 3개가 모두 지워지며")
    expect(dialog.get_by_role("button", name="취소")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    assert len(ask("/api/collections")["collections"]) == 2

    button.click()
    dialog.get_by_role("button", name="삭제").click()
    picker = page.get_by_label("컬렉션", exact=True)
    expect(picker).to_have_value("다른-것")
    expect(picker).to_be_focused()
    expect(page.locator("#announcement")).to_have_text("‘생활’ 컬렉션을 삭제했습니다.")
    assert titles(page) == ["0번", "1번"]
    button.click()
    dialog.get_by_role("button", name="삭제").click()
    expect(page.get_by_text("아직 컬렉션이 없습니다.")).to_be_visible()
    expect(page.locator("#documents")).to_be_hidden()
    assert ask("/api/collections")["collections"] == []


def test_new_collection_gets_a_name_that_works(page: Page, ask: Ask, collection: str) -> None:
    open_page(page, collection=collection)
    page.get_by_role("button", name="새 컬렉션").click()
    name = page.get_by_label("새 컬렉션의 이름")
    expect(name).to_be_focused()
    problem = page.locator("#name-problem")
    for typed, words in [("", "이름을 입력해"), ("!!", "쓸 수 없는"), ("생활", "이미 있습니다")]:
        name.fill(typed)
        name.press("Enter")
        expect(problem).to_contain_text(words)
        expect(name).to_be_focused()
    name.fill("My FAQ 모음")
    name.press("Enter")
    expect(page.get_by_label("컬렉션", exact=True)).to_have_value("my-faq-모음")
    expect(page.locator("#announcement")).to_have_text("‘my-faq-모음’ 컬렉션을 만들었습니다.")
    expect(page.get_by_text("컬렉션이 비어 있습니다.")).to_be_visible()
    expect(page.locator("#drop")).to_be_visible()
    names = [info["name"] for info in ask("/api/collections")["collections"]]
    assert set(names) == {"my-faq-모음", "생활"}


def test_nothing_found_says_what_to_do(page: Page, collection: str) -> None:
    open_page(page, collection=collection, q="외국어능력시험", mode="keyword")
    expect(page.get_by_text("찾은 문서가 없습니다.").first).to_be_visible()
    page.get_by_role("button", name="의미로 찾기").click()
    wait_for_hits(page)
    expect(page.locator("#result .ranking__row")).to_have_count(3)
    expect(page.get_by_role("radio", name="의미")).to_be_checked()
    expect(page.get_by_label("무엇을 찾으시나요?")).to_be_focused()

    page.get_by_label("조건 추가").fill("type=없음")
    page.get_by_label("조건 추가").press("Enter")
    page.get_by_role("button", name="조건 지우기").click()
    wait_for_hits(page)
    expect(page.locator("#result .ranking__row")).to_have_count(3)


def test_unknown_collection_is_named(page: Page, collection: str) -> None:
    open_page(page, collection="없는-것", q=QUERY)
    expect(page.get_by_text("‘없는-것’ 컬렉션이 없습니다.")).to_be_visible()
    expect(page.locator("#finder")).to_be_hidden()
    page.get_by_label("컬렉션", exact=True).select_option(collection)
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    expect(page.get_by_text("‘없는-것’ 컬렉션이 없습니다.")).to_be_hidden()


def test_collection_that_went_away_is_noticed(
    page: Page, send: Send, collection: str, expected_errors: list[str]
) -> None:
    expected_errors.append("404")
    open_page(page, collection=collection)
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    send("DELETE", f"/api/collections/{collection}")
    page.get_by_label("무엇을 찾으시나요?").fill(QUERY)
    page.keyboard.press("Enter")
    expect(page.get_by_text("‘생활’ 컬렉션이 없습니다.")).to_be_visible()
    expect(page.locator("#documents")).to_be_hidden()


def test_vectors_of_another_model_are_explained_with_the_mend(
    page: Page, collection: str, expected_errors: list[str]
) -> None:
    expected_errors.append("409")

    def other_model(route: Route) -> None:
        reply = route.fetch().json()
        for info in reply["collections"]:
            info.update(model="old-model", searchable=False, reembedded=0.256)
        route.fulfill(json=reply)

    conflict = {"error": {"code": "conflict", "message": "made with old-model"}}
    page.route("**/api/collections", other_model)
    page.route("**/search", lambda route: route.fulfill(status=409, json=conflict))
    open_page(page, collection=collection, q=QUERY)
    notices = page.locator("#collection-notices")
    expect(notices).to_contain_text("다른 가중치(old-model)로 만들어져")
    expect(notices).to_contain_text("ssang collections reembed 생활")
    expect(notices).to_contain_text("25%")
    expect(page.locator("#alert")).to_contain_text("서버의 설명: made with old-model")


def test_model_that_is_still_loading_is_waited_for(
    page: Page, collection: str, expected_errors: list[str]
) -> None:
    expected_errors.append("503")
    loading = {"error": {"code": "model_unavailable", "message": "loading"}}
    refusals = [loading]

    def load(route: Route) -> None:
        if refusals:
            route.fulfill(status=503, json=refusals.pop())
        else:
            route.continue_()

    page.route("**/api/collections", load)
    open_page(page, collection=collection)
    expect(page.locator("#collection-alert")).to_contain_text("모델이 아직 준비되지 않았습니다.")
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    expect(page.locator("#collection-alert")).to_be_empty()


def test_browser_s_history_leads_back(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    search_for(page, QUERY)
    search_for(page, "내일 우산")
    second = titles(page)
    page.go_back()
    expect(page.locator("#query")).to_have_value(QUERY)
    expect(page.locator(".entry__title").filter(visible=True).first).to_have_text(title(0))
    page.go_back()
    expect(page.locator("#documents")).to_be_visible()
    expect(page.locator("#answer")).to_be_hidden()
    page.go_forward()
    page.go_forward()
    expect(page.locator("#query")).to_have_value("내일 우산")
    wait_for_hits(page)
    assert titles(page) == second


def test_emptied_query_shows_all_documents_again(page: Page, collection: str) -> None:
    open_page(page, collection=collection, q=QUERY)
    wait_for_hits(page)
    page.get_by_label("무엇을 찾으시나요?").fill("다른 말")
    expect(page.get_by_text("입력한 내용이 바뀌었습니다.")).to_be_visible()
    page.get_by_label("무엇을 찾으시나요?").fill("")
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    expect(page.locator("#answer")).to_be_hidden()
    assert "q=" not in page.url

    search_for(page, QUERY)
    page.get_by_role("button", name="전체 문서 보기").click()
    expect(page.locator("#documents-heading")).to_have_text("문서 3개")
    expect(page.get_by_label("무엇을 찾으시나요?")).to_be_focused()
    expect(page.get_by_label("무엇을 찾으시나요?")).to_have_value("")


def test_switch_of_the_language_keeps_the_search(page: Page, collection: str) -> None:
    open_page(page, collection=collection, q=QUERY)
    wait_for_hits(page)
    found = titles(page)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Search results")).to_be_visible()
    assert titles(page) == found
    expect(page.locator("#query")).to_have_value(QUERY)


def test_keyboard_alone_is_enough(page: Page, collection: str) -> None:
    open_page(page, collection=collection)
    page.get_by_label("무엇을 찾으시나요?").focus()
    page.keyboard.type("우산을 챙길까요")
    page.keyboard.press("Tab")
    expect(page.locator("#send")).to_be_focused()
    page.keyboard.press("Enter")
    wait_for_hits(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="자동")).to_be_focused()
    outline = page.locator(".segments__label").first.evaluate(
        "label => getComputedStyle(label).outlineStyle"
    )
    assert outline == "solid"
    page.keyboard.press("ArrowRight")
    wait_for_hits(page)
    expect(page.get_by_role("radio", name="의미")).to_be_checked()
    expect(page.get_by_role("radio", name="의미")).to_be_focused()
    page.keyboard.press("Tab")
    card = page.get_by_role("button", name="카드", exact=True)
    expect(card).to_be_focused()
    page.keyboard.press("Space")
    wait_for_hits(page)
    expect(card).to_be_focused()
    assert titles(page) == [title(0)]


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
@pytest.mark.parametrize("width", [320, 375, 720])
def test_phones_do_not_scroll_sideways(
    new_page: NewPage, fill: Fill, width: int, locale: str
) -> None:
    unbroken = {"id": "u", "title": "가" * 300, "text": "a" * 600, "metadata": {"type": "나" * 90}}
    fill("x" * 60, [*DOCUMENTS, unbroken])
    page = new_page(viewport={"width": width, "height": 740}, locale=locale)
    page.goto("/chat")
    expect(page.locator("#documents .ranking__row")).to_have_count(4)
    page.locator("#upload-open").click()
    page.locator("#create-open").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for mode in ("", "keyword"):
        open_page(page, q=f"카드 {'가' * 40}", mode=mode)
        wait_for_hits(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(
    new_page: NewPage, contrasts: Contrasts, collection: str, scheme: str
) -> None:
    page = new_page(color_scheme=scheme)
    selector = "p, h1, h2, h3, label, summary, a, button, span, dt, dd, mark, li, code"
    open_page(page, collection=collection, q=QUERY, filter='{"type": "카드", "level": 1}')
    wait_for_hits(page)
    page.locator("#upload-open").click()
    upload(page, table([("text",), ("",), ("글",)]))
    expect(page.locator("#collection-facts")).to_contain_text("문서 4개")
    wait_for_hits(page)
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    measured = contrasts(page, selector)
    page.locator("#drop-collection").click()
    measured += contrasts(page, "dialog h2, dialog p, dialog button")
    assert len(measured) > 50
    assert [pair for pair in measured if pair[0] and pair[1] < READABLE] == []


def test_markup_stays_text(page: Page, fill: Fill) -> None:
    markup = '<img src=x onerror="window.attacked = true">'
    document = {"id": markup, "title": markup, "text": markup, "metadata": {"type": markup}}
    fill("태그", [document])
    open_page(page, collection="태그")
    expect(page.locator(".entry__title")).to_have_text(markup)
    search_for(page, "img src")
    assert titles(page) == [markup]
    assert page.locator("#collection-panel img").count() == 0
    assert page.evaluate("window.attacked") is None
    search_for(page, "x")
    page.get_by_label("무엇을 찾으시나요?").fill("")
    page.locator("#documents").get_by_role("button", name=re.compile("삭제$")).click()
    page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    expect(page.get_by_text("컬렉션이 비어 있습니다.")).to_be_visible()


def test_snippet_gives_the_hits_of_the_page(page: Page, collection: str) -> None:
    open_page(page, collection=collection, q=QUERY, mode="vector", filter='{"level": [1, 2]}')
    wait_for_hits(page)
    program = page.locator("#code-python").text_content() or ""
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split(" ", 1)[1] for line in printed.splitlines()] == titles(page)
