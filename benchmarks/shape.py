"""Models of a given shape with random weights: speed does not depend on what a model has learnt.

Run with the project's environment: ``python -m benchmarks.shape FOLDER TOKENIZER_FOLDER``. The
folder has the layout of sentence-transformers before version 5.2, which every server here reads.
"""

import json
import shutil
import sys
from pathlib import Path

LAYERS, WIDTH, HEADS, VOCABULARY = 12, 768, 12, 32_000

_MAX_TOKENS = 512

_MODULES = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def make_roberta(folder: Path, tokenizer: Path) -> None:
    """A RoBERTa of the base size, mean pooling, L2 norm.

    Args:
        folder: to write, about 440 MB.
        tokenizer: folder of a model whose tokenizer it shares; ids beyond it are never used.
    """
    import torch
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        # Positions are counted from behind the padding's id.
        max_position_embeddings=_MAX_TOKENS + 2,
        type_vocab_size=1,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    for name in _TOKENIZER_FILES:
        shutil.copy(tokenizer / name, folder)
    _write_layout(folder)


def _write_layout(folder: Path) -> None:
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{name}",
        }
        for index, (path, name) in enumerate(_MODULES)
    ]
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
    reading = {"max_seq_length": _MAX_TOKENS, "do_lower_case": False}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "2_Normalize").mkdir(exist_ok=True)
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", reading)
    # Last: its presence says that the model is complete.
    _write_json(folder / "modules.json", modules)


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make_roberta(Path(sys.argv[1]), Path(sys.argv[2]))
