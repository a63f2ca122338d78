"""Rank lines by Hugging Face's client.

python examples/clients/huggingface_inference.py "질문" documents.txt
"""

import argparse
import os
from pathlib import Path

from huggingface_hub import InferenceClient


def main() -> None:
    """Prints a line a document, nearest first: score, text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("query")
    parser.add_argument("documents", type=Path, help="text file with one document a line")
    arguments = parser.parse_args()
    documents = arguments.documents.read_text(encoding="utf-8").splitlines()
    client = InferenceClient(arguments.url)
    # One request each: how the service reads questions, and how it reads what answers them.
    query = client.feature_extraction(arguments.query, prompt_name="query")
    vectors = client.feature_extraction(documents, prompt_name="document")
    scores = vectors @ query[0]
    for index in (-scores).argsort():
        print(f"{scores[index]:.4f} {documents[index]}")


if __name__ == "__main__":
    main()
