"""Search lines with LangChain.

python examples/clients/langchain_embeddings.py "질문" documents.txt
"""

import argparse
import os
from pathlib import Path

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr


def open_embeddings(url: str) -> OpenAIEmbeddings:
    """Embeddings of the service at ``url``."""
    return OpenAIEmbeddings(
        model="ko-mini",
        openai_api_base=f"{url}/v1",
        openai_api_key=SecretStr("unused"),  # The client wants some key.
        check_embedding_ctx_length=False,  # Texts are sent then, not OpenAI's token ids.
        chunk_size=512,
    )


def main() -> None:
    """Prints a line a document, nearest first: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--top-k", type=int, default=10)
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    documents = arguments.documents.read_text(encoding="utf-8").splitlines()
    store = InMemoryVectorStore.from_texts(documents, open_embeddings(arguments.url))
    for document, score in store.similarity_search_with_score(arguments.query, arguments.top_k):
        print(f"{score:.4f} {document.page_content}")


if __name__ == "__main__":
    main()
