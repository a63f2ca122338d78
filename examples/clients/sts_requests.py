"""Score sentence pairs as clients of the STS service do.

python examples/clients/sts_requests.py "문장" "문장"
python examples/clients/sts_requests.py --file pairs.json

The file holds {"results": [{"idx": 0, "sentence1": "...", "sentence2": "..."}]}. A key, where the
service asks for one, is taken from SSANG_API_KEY.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import requests

Scored = tuple[float, int, str, str]


def score_sentences(url: str, headers: dict[str, str], first: str, second: str) -> Iterator[Scored]:
    """Score and prediction (1: they mean the same) of two sentences."""
    body = {"sentence_1": first, "sentence_2": second}
    response = requests.post(f"{url}/pred/sentences", json=body, headers=headers, timeout=60)
    response.raise_for_status()
    answer = response.json()
    yield answer["score"], answer["pred"], first, second


def score_file(url: str, headers: dict[str, str], path: Path) -> Iterator[Scored]:
    """Score and prediction of each pair of a file."""
    with path.open("rb") as file:
        response = requests.post(
            f"{url}/pred/file/", files={"file": file}, headers=headers, timeout=300
        )
    if not response.ok:
        raise SystemExit(response.json()["detail"])
    answer = response.json()
    for pair, score, pred in zip(
        answer["sentences"], answer["scores"], answer["preds"], strict=True
    ):
        yield score, pred, *pair


def main() -> None:
    """Prints a line a pair: score, prediction, sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--file", type=Path, help="JSON with a list of pairs")
    parser.add_argument("sentences", nargs="*", help="two sentences")
    arguments = parser.parse_args()
    key = os.environ.get("SSANG_API_KEY")
    headers = {"X-API-Key": key} if key else {}
    if arguments.file:
        scored = score_file(arguments.url, headers, arguments.file)
    elif len(arguments.sentences) == 2:
        scored = score_sentences(arguments.url, headers, *arguments.sentences)
    else:
        parser.error("give two sentences, or --file")
    for score, pred, first, second in scored:
        print(f"{score:.4f} {pred} {first} | {second}")


if __name__ == "__main__":
    main()
