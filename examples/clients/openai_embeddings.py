"""Rank lines with OpenAI's client.

python examples/clients/openai_embeddings.py "질문" documents.txt
"""

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from openai import OpenAI


def embed(client: OpenAI, texts: list[str], side: str) -> npt.NDArray[np.float64]:
    """Unit vectors (n, dim) of texts; the side is query or document."""
    reply = client.embeddings.create(model="ko-mini", input=texts, extra_body={"input_type": side})
    return np.array([item.embedding for item in reply.data])


def main() -> None:
    """Prints a line a document, nearest first: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    documents = arguments.documents.read_text(encoding="utf-8").splitlines()
    # The client wants some key.
    with OpenAI(base_url=f"{arguments.url}/v1", api_key="unused") as client:
        (query,) = embed(client, [arguments.query], "query")
        scores = embed(client, documents, "document") @ query
    for index in np.argsort(-scores):
        print(f"{scores[index]:.4f} {documents[index]}")


if __name__ == "__main__":
    main()
