"""Keep lines in a collection and search them with LangChain.

python examples/clients/langchain_collections.py "질문" documents.txt
"""

import argparse
import os
from pathlib import Path

from webapp.langchain import SsangVectorStore


def main() -> None:
    """Prints a line a document, nearest first: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--collection", default="lines")
    parser.add_argument("--top-k", type=int, default=10)
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    store = SsangVectorStore(arguments.url, arguments.collection, mode="vector")
    store.add_texts(arguments.documents.read_text(encoding="utf-8").splitlines())
    for document, score in store.similarity_search_with_score(arguments.query, arguments.top_k):
        print(f"{score:.4f} {document.page_content}")


if __name__ == "__main__":
    main()
