"""Trained weights to a model folder that transformers, sentence-transformers and ssang load."""

import copy
import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from transformers import (
    BertForQuestionAnswering,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from inference.calibration import calibrate
from inference.checkpoint import COMPILED, read_checkpoint
from inference.encoders import load_encoder
from inference.encoders.compile import compile_checkpoint
from inference.model import open_model
from inference.similarity import Vectors
from training.measures import cosines_of, embed_with
from training.sources import Scored
from training.student import Student

# Least KorSTS score of each class of pairs.
_LEAST = {"high": 4.0, "medium": 2.5, "binary": 3.0}

_MODULES = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))


def export_encoder(student: Student, folder: Path, scored: Sequence[Scored]) -> None:
    """Writes fp16 safetensors, tokenizer, pooling, calibrated thresholds, and all of it in int8.

    The card stays as it is.

    Args:
        student: the trained encoder.
        folder: made if need be; files of the same names are replaced.
        scored: labelled pairs to calibrate on, none of which were trained on.
    """
    save_encoder(student.bert, student.tokenizer, folder)
    calibration = _calibration(student, scored)
    calibration["korsts_dev_spearman"] = _compile(folder, scored)
    _write(folder / "ssang.json", calibration)


def save_encoder(bert: BertModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes fp16 safetensors, tokenizer and mean pooling, as sentence-transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_tokenizer(tokenizer, folder)
    _save_half(bert, folder)
    _write(folder / "modules.json", [_module(*place) for place in enumerate(_MODULES)])
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": bert.config.max_position_embeddings, "do_lower_case": False},
    )
    _write(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": bert.config.hidden_size, "pooling_mode_mean_tokens": True},
    )


def export_reader(
    model: BertForQuestionAnswering,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    calibration: dict[str, Any],
) -> None:
    """Writes fp16 safetensors, tokenizer and ``ssang.json``; leaves the card be."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_tokenizer(tokenizer, folder)
    _save_half(model, folder)
    _write(folder / "ssang.json", calibration)


def _save_half(model: PreTrainedModel, folder: Path) -> None:
    # The model in training stays as it is: only the copy that is written is cut.
    copy.deepcopy(model).half().save_pretrained(folder)  # type: ignore[no-untyped-call]


def _save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the two files by hand: transformers 5 names a class that older releases lack."""
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    _write(folder / "tokenizer_config.json", settings | tokenizer.special_tokens_map)


def _calibration(student: Student, scored: Sequence[Scored]) -> dict[str, Any]:
    cosines = cosines_of(student.embed, scored)
    labels = np.array([row.score for row in scored])
    found = {name: calibrate(cosines, labels >= least) for name, least in _LEAST.items()}
    return {
        "thresholds": {name: round(edge.threshold, 3) for name, edge in found.items()},
        "calibrated_on": {
            "data": "KorSTS dev",
            "rows": len(scored),
            "least_labels": _LEAST,
            "balanced_accuracy": {
                name: round(edge.balanced_accuracy, 4) for name, edge in found.items()
            },
        },
        "pooling": "mean",
        "normalize": True,
    }


def _compile(folder: Path, scored: Sequence[Scored]) -> dict[str, float]:
    """Ships the model in int8 as well; Spearman's correlation with the scores in each precision."""
    shutil.rmtree(folder / COMPILED, ignore_errors=True)
    compile_checkpoint(read_checkpoint(folder.name, folder), folder / COMPILED)
    labels = [pair.score for pair in scored]
    return {
        precision: round(float(spearmanr(_cosines(folder, precision, scored), labels).statistic), 4)
        for precision in ("fp32", "int8")
    }


def _cosines(folder: Path, precision: str, scored: Sequence[Scored]) -> Vectors:
    encoder = load_encoder(open_model(str(folder)), device="cpu", precision=precision)
    return cosines_of(partial(embed_with, encoder), scored)


def _module(place: int, part: tuple[str, str]) -> dict[str, Any]:
    kind, path = part
    return {
        "idx": place,
        "name": str(place),
        "path": path,
        "type": f"sentence_transformers.models.{kind}",
    }


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
