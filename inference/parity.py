"""Whether vectors are those of sentence-transformers on the same files."""

from functools import partial

import numpy as np

from inference.checkpoint import Kind
from inference.engine import Engine

_SENTENCES = (
    "오늘 서울 날씨가 참 좋네요, 산책을 갈까요?",
    "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다.",
    "대출 금리를 조회하려면 어떻게 해야 하나요?",
    "인공지능 기술이 빠르게 발전하고 있습니다.",
)

# As the encoders promise it; see the Encoder contract.
LEAST_COSINE = {"fp32": 0.9999, "bf16": 0.999, "fp16": 0.999, "int8": 0.98}


def lowest_cosine(engine: Engine, kind: Kind) -> float:
    """The lowest cosine of the engine's vectors of a few Korean sentences with the library's.

    The library reads the same files, in fp32 on the CPU.

    Raises:
        Exception: what sentence-transformers raises where it cannot load the model.
    """
    from sentence_transformers import SentenceTransformer

    from inference.torch_model import quiet_transformers

    quiet_transformers()
    checkpoint = engine.model.query if kind == "query" else engine.model.document
    reference = SentenceTransformer(
        str(checkpoint.path),
        device="cpu",
        truncate_dim=engine.info().dimension,
        local_files_only=True,
        # Whatever the weights are stored in.
        model_kwargs={"dtype": "float32"},
    )
    encode = partial(
        reference.encode_query if kind == "query" else reference.encode_document,
        normalize_embeddings=True,
        show_progress_bar=False,
    )
    theirs = np.asarray(encode(list(_SENTENCES)))
    ours = engine.embed(_SENTENCES, kind=kind).vectors
    return float(np.einsum("nd,nd->n", ours, theirs).min())
