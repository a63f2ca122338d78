"""LitServe around sentence-transformers: requests that wait share a batch.

python lit_server.py MODEL PORT
"""

import sys
from typing import Any

import litserve
from sentence_transformers import SentenceTransformer

# Requests, not texts: as many as a batch of encode() holds.
MAX_BATCH_SIZE = 32

# Seconds to wait for more requests. 0 takes what is there: a single client never waits, and many
# gather anyway while the model works.
BATCH_TIMEOUT_S = 0.0

# The largest request is minutes of work for the larger model.
REQUEST_TIMEOUT_S = 600

MAX_BODY_BYTES = 32 * 2**20


class EmbedAPI(litserve.LitAPI):
    """``{"texts": [...]}`` to ``{"embeddings": [[...], ...]}``."""

    def setup(self, device: str) -> None:
        self.model = SentenceTransformer(
            sys.argv[1], device=device, model_kwargs={"dtype": "float32"}
        )

    def decode_request(self, request: dict[str, Any]) -> list[str]:
        return request["texts"]

    def predict(self, requests: list[list[str]]) -> list[Any]:
        texts = [text for request in requests for text in request]
        vectors = self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        answers, start = [], 0
        for request in requests:
            answers.append(vectors[start : start + len(request)])
            start += len(request)
        return answers

    def encode_response(self, vectors: Any) -> dict[str, Any]:
        return {"embeddings": vectors.tolist()}


if __name__ == "__main__":
    api = EmbedAPI(max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_S, api_path="/embed")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        devices=1,
        timeout=REQUEST_TIMEOUT_S,
        max_payload_size=MAX_BODY_BYTES,
    )
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
