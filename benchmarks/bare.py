"""A bare forward pass: what the model itself costs, with no server around it.

Run with the project's environment: ``python -m benchmarks.bare MODEL < texts.json``, where the
texts are a JSON list. It prints, as JSON, the median milliseconds of one text's forward pass in
fp32 (its token ids are ready, pooling is left out), the threads it had, which are torch's default
as for the servers, and the unit vectors of the first texts, mean pooled, to compare theirs with;
these are not timed.
"""

import json
import statistics
import sys
import time
from typing import Any

SAMPLE_TEXTS = 16

_WARM_UP = 10


def main(folder: str, texts: list[str]) -> dict[str, Any]:
    """Measures as the module says."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    batches = [tokenizer(text, return_tensors="pt") for text in texts]
    times_ms, vectors = [], []
    with torch.inference_mode():
        for batch in [*batches[:_WARM_UP], *batches]:
            began = time.perf_counter()
            hidden = model(**batch).last_hidden_state
            times_ms.append(1000 * (time.perf_counter() - began))
            vectors.append(torch.nn.functional.normalize(hidden.mean(dim=1), dim=1)[0].tolist())
    return {
        "median_ms": statistics.median(times_ms[_WARM_UP + SAMPLE_TEXTS :]),
        "threads": torch.get_num_threads(),
        "vectors": vectors[_WARM_UP : _WARM_UP + SAMPLE_TEXTS],
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.load(sys.stdin))))
