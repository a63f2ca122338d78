"""Score pairs of texts: python examples/pairs.py "질문" "문서" ["질문" "문서" ...]."""

import argparse
import os

import requests


def score_pairs(url: str, pairs: list[tuple[str, str]]) -> list[dict[str, object]]:
    """Cosine similarity and grade of each (query, document)."""
    body = {"pairs": [{"query": query, "document": document} for query, document in pairs]}
    response = requests.post(f"{url}/api/pairs", json=body, timeout=60)
    response.raise_for_status()
    scored: list[dict[str, object]] = response.json()["pairs"]
    return scored


def main() -> None:
    """Prints a line a pair: score, grade, texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("texts", nargs="+", help="query, document, query, document, ...")
    arguments = parser.parse_args()
    if len(arguments.texts) % 2:
        parser.error("texts come in pairs")
    pairs = list(zip(arguments.texts[::2], arguments.texts[1::2], strict=True))
    for (query, document), scored in zip(pairs, score_pairs(arguments.url, pairs), strict=True):
        print(f"{scored['score']:.4f} {scored['grade']:6} {query} | {document}")


if __name__ == "__main__":
    main()
