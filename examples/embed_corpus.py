"""Embed the lines of a file into a NumPy array: python examples/embed_corpus.py texts.txt out.npy.

Row i of the array is the unit vector of line i, so a query finds its nearest lines by
``np.argsort(-(array @ query_vector))``. For millions of lines see ``ssang encode``.
"""

import argparse
import base64
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import requests

TEXTS_A_REQUEST = 512


def embed(url: str, texts: list[str], kind: str = "document") -> npt.NDArray[np.float32]:
    """Unit vectors (n, dim) of texts; waits and tries again while the service is busy."""
    body = {"texts": texts, "kind": kind, "encoding": "base64"}
    while True:
        response = requests.post(f"{url}/api/embed", json=body, timeout=120)
        if response.status_code != requests.codes.too_many_requests:
            break
        time.sleep(int(response.headers["Retry-After"]))
    response.raise_for_status()
    rows = [base64.b64decode(row) for row in response.json()["embeddings"]]
    return np.stack([np.frombuffer(row, dtype="<f4") for row in rows])


def embed_all(url: str, texts: list[str]) -> Iterator[npt.NDArray[np.float32]]:
    """The vectors of texts, as many as go into one request at a time."""
    for start in range(0, len(texts), TEXTS_A_REQUEST):
        yield embed(url, texts[start : start + TEXTS_A_REQUEST])


def main() -> None:
    """Writes the array."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SSANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("texts", type=Path, help="text file with one text a line")
    parser.add_argument("output", type=Path, help="file to write, .npy")
    arguments = parser.parse_args()
    texts = arguments.texts.read_text(encoding="utf-8").splitlines()
    vectors = np.concatenate(list(embed_all(arguments.url, texts)))
    np.save(arguments.output, vectors)
    print(f"{vectors.shape[0]} vectors of {vectors.shape[1]} numbers are in {arguments.output}")


if __name__ == "__main__":
    main()
