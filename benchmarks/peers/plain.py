"""The plain service: Flask around sentence-transformers, the model loaded once a process."""

import os

from flask import Flask, Response, jsonify, request
from sentence_transformers import SentenceTransformer

# The embedded model's weights are stored in fp16; all servers compute in fp32.
model = SentenceTransformer(os.environ["MODEL"], device="cpu", model_kwargs={"dtype": "float32"})

app = Flask(__name__)


@app.post("/embed")
def embed() -> Response | tuple[Response, int]:
    """``{"texts": [...]}`` to ``{"embeddings": [[...], ...]}``."""
    body = request.get_json()
    texts = body.get("texts") if isinstance(body, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return jsonify(error="texts must be a list of strings"), 400
    vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return jsonify(embeddings=vectors.tolist())
