"""Rank the lines of a file for a query: python examples/rank.py "질문" documents.txt."""

import argparse
import os
from pathlib import Path

import requests


def rank(url: str, query: str, documents: list[str], top_k: int) -> list[tuple[float, str]]:
    """The documents nearest to the query with their scores, nearest first."""
    body = {"query": query, "documents": documents, "top_k": top_k}
    response = requests.post(f"{url}/api/rank", json=body, timeout=60)
    response.raise_for_status()
    results = response.json()["results"]
    return [(result["score"], documents[result["index"]]) for result in results]


def main() -> None:
    """Prints a line a document: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--top-k", type=int, default=10)
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    lines = arguments.documents.read_text(encoding="utf-8").splitlines()
    documents = [line for line in lines if line.strip()]
    for score, document in rank(arguments.url, arguments.query, documents, arguments.top_k):
        print(f"{score:.4f} {document}")


if __name__ == "__main__":
    main()
