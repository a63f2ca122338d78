from playwright.sync_api import Page, expect


def test_swagger_ui_lists_the_routes_and_tries_them(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator(".opblock-summary-path", has_text="/api/pairs")).to_be_visible()
    page.locator("#operations-ssang-api_info_info_get .opblock-summary").click()
    page.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/api/info") as response:
        page.get_by_role("button", name="Execute").click()
    assert response.value.status == 200
    expect(page.locator(".responses-table.live-responses-table")).to_contain_text("ko-mini")
