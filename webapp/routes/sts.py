"""The STS service: two sentences, or a file of pairs. Each address may end in a slash."""

import codecs
from collections.abc import Sequence
from typing import Any

from flask import Response
from flask_openapi import Tag

from inference.errors import InvalidInput
from inference.result import PairScores
from webapp.blueprint import ApiBlueprint
from webapp.observation import note_reading
from webapp.parsing import parse_json, read_body
from webapp.reply import json_reply, json_rows_reply, with_truncated
from webapp.service import current_engine
from webapp.wire.sts import (
    StsErrorReply,
    StsFile,
    StsFileReply,
    StsForm,
    StsSentences,
    StsSentencesReply,
)

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 413, 415, 422, 429, 500, 503, 504), StsErrorReply
)

_FILE_ANSWERS: dict[Any, Any] = {200: StsFileReply}

sts = ApiBlueprint(
    "sts",
    __name__,
    url_prefix="/pred",
    abp_tags=[Tag(name="STS", description="As clients of the STS service call it")],
    abp_responses=_ERRORS,
)


@sts.post(
    "/sentences",
    summary="Compare two sentences",
    responses={200: StsSentencesReply},
    strict_slashes=False,
)
def predict_sentences(body: StsSentences) -> Response:
    """Cosine similarity of two sentences, read alike, and whether they mean the same."""
    pair = (body.sentence_1, body.sentence_2)
    scored = _score([pair], labels=("sentence_1", "sentence_2"))
    sentences = {"sentence_1": body.sentence_1, "sentence_2": body.sentence_2}
    answer = {"score": scored.pairs[0].score, "pred": _preds(scored)[0], **_runtime(scored)}
    return _with_truncated(json_reply({**sentences, **answer}), scored)


@sts.post("/file/", summary="Compare pairs", responses=_FILE_ANSWERS, strict_slashes=False)
def predict_file(form: StsForm) -> Response:
    """Cosine similarity of each pair of a file, and whether its sentences mean the same."""
    return _answer_file(form)


@sts.post("/multi/", summary="Compare pairs", responses=_FILE_ANSWERS, strict_slashes=False)
def predict_multi(form: StsForm) -> Response:
    """The same as /pred/file/."""
    return _answer_file(form)


@sts.post("/file/multi/", summary="Compare pairs", responses=_FILE_ANSWERS, strict_slashes=False)
def predict_file_multi(form: StsForm) -> Response:
    """The same as /pred/file/."""
    return _answer_file(form)


def _answer_file(form: StsForm) -> Response:
    pairs = [(pair.sentence1, pair.sentence2) for pair in _read_file(form).results]
    scored = _score(pairs, labels=("results[{}].sentence1", "results[{}].sentence2"))
    answer = {
        "preds": _preds(scored),
        "scores": [pair.score for pair in scored.pairs],
        **_runtime(scored),
    }
    response = json_rows_reply(
        answer, "sentences", len(pairs), lambda start, stop: pairs[start:stop]
    )
    return _with_truncated(response, scored)


def _read_file(form: StsForm) -> StsFile:
    content = parse_json(form.file.read().removeprefix(codecs.BOM_UTF8), what="file")
    if not isinstance(content, dict):
        raise InvalidInput(
            'The file must hold a JSON object with a list of pairs: {"results": [...]}.',
            item="file",
        )
    return read_body(StsFile, content)


def _score(pairs: Sequence[tuple[str, str]], *, labels: tuple[str, str]) -> PairScores:
    """Both sentences are read as documents, so that either order has the same score."""
    scored = current_engine().score_pairs(pairs, kinds=("document", "document"), labels=labels)
    note_reading(scored, texts=2 * len(pairs))
    return scored


def _preds(scored: PairScores) -> list[int]:
    threshold = current_engine().model.thresholds.binary
    return [int(pair.score >= threshold) for pair in scored.pairs]


def _runtime(scored: PairScores) -> dict[str, float]:
    return {"runtime(sec)": scored.timing.total / 1000}


def _with_truncated(response: Response, scored: PairScores) -> Response:
    return with_truncated(response, sum(pair.truncated for pair in scored.pairs))
