"""What a short program would do with a file of sentences: read, encode, save.

python encode.py MODEL IN.txt OUT.npy
"""

import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

if __name__ == "__main__":
    model, source, target = sys.argv[1:]
    # The embedded model's weights are stored in fp16; the peers compute in fp32.
    encoder = SentenceTransformer(model, device="cpu", model_kwargs={"dtype": "float32"})
    texts = Path(source).read_text(encoding="utf-8").splitlines()
    np.save(target, encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False))
