"""That the cost of requests can be measured; the figures themselves are the machine's."""

import math

import pytest

from benchmarks import http_path
from benchmarks.http_path import ROUTES, Cost, table


def test_ratio_is_of_all_rounds_together() -> None:
    assert Cost(ROUTES[0], ours_ms=[1.0, 2.0], bare_ms=[1.0, 0.5]).ratio == 2.0
    assert math.isnan(Cost(ROUTES[0], ours_ms=[1.0], bare_ms=[0.0]).ratio)


def test_table_tells_milliseconds_of_a_request_or_microseconds_of_a_text() -> None:
    cost = Cost(ROUTES[0], ours_ms=[2.0, 4.0, 3.0], bare_ms=[1.0, 1.0, 1.0])
    assert table([cost], texts=1).splitlines()[-1] == "| /api/embed | 3.000 | 1.000 | 3.00 |"
    assert table([cost], texts=100).splitlines()[-1] == "| /api/embed | 30.000 | 10.000 | 3.00 |"


@pytest.mark.parametrize("texts", ["1", "3"])
def test_every_route_is_asked_of_real_servers(
    texts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    http_path.main(["--texts", texts, "--requests", "2", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(ROUTES)
