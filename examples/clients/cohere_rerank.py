"""Rerank lines with Cohere's client.

python examples/clients/cohere_rerank.py "질문" documents.txt
"""

import argparse
import os
from pathlib import Path

import cohere


def main() -> None:
    """Prints a line a document, best first: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    documents = arguments.documents.read_text(encoding="utf-8").splitlines()
    # The client wants some key.
    with cohere.ClientV2(api_key="unused", base_url=arguments.url) as client:
        reply = client.rerank(
            model="ko-mini", query=arguments.query, documents=documents, top_n=arguments.top_n
        )
    for result in reply.results:
        print(f"{result.relevance_score:.4f} {documents[result.index]}")


if __name__ == "__main__":
    main()
