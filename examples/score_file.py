"""Score a file of pairs and watch it: python examples/score_file.py pairs.csv > scores.jsonl."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests


def score_file(url: str, path: Path, **fields: str) -> Iterator[dict[str, Any]]:
    """The lines of the answer as they arrive: start, rows, heartbeats, summary.

    ``fields`` are those of the form, such as ``query_column="질문"``.
    """
    with path.open("rb") as file:
        response = requests.post(
            f"{url}/api/score-file",
            files={"file": file},
            data=fields,
            stream=True,
            # A line, or a heartbeat, comes at least every ten seconds.
            timeout=30,
        )
    with response:
        if not response.ok:
            raise SystemExit(response.json()["error"]["message"])
        for line in response.iter_lines(chunk_size=None):
            yield json.loads(line)


def main() -> None:
    """Prints a JSON object a row; progress and what went wrong go to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("file", type=Path, help="CSV, TSV, JSON or JSON Lines")
    arguments = parser.parse_args()
    for line in score_file(arguments.url, arguments.file):
        if "row" in line:
            print(json.dumps(line, ensure_ascii=False))
        elif "heartbeat" in line:
            print(f"{line['heartbeat']['rows']:,} rows", file=sys.stderr)
        elif "error" in line:
            raise SystemExit(line["error"]["message"])
        elif "summary" in line:
            print(line["summary"], file=sys.stderr)
            return
    # Only an answer with a summary is whole.
    raise SystemExit("The answer broke off.")


if __name__ == "__main__":
    main()
