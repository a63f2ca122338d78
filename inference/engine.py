"""Everything ssang can do with texts, behind one small class."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from inference import metrics
from inference.batcher import Batcher
from inference.checkpoint import Kind
from inference.encoders import load_encoder
from inference.encoders.base import Encoder
from inference.errors import InvalidInput, TooLarge
from inference.lifecycle import Failure, State
from inference.long_text import PassageGroup, split_group, whole_group
from inference.model import Model
from inference.pipeline import Pipeline, ReadOptions, TextGroup, check_not_empty
from inference.result import (
    Embeddings,
    EncodedTexts,
    ModelInfo,
    PairScore,
    PairScores,
    PassageEmbeddings,
    RankedDocument,
    Ranking,
    ScoreMatrix,
    Timing,
)
from inference.similarity import Vectors, cosine, cosine_matrix, cut_dimensions, grade, top_k
from inference.tokenizer import Text, Token
from inference.vector_cache import VectorCache

# Pairs whose vectors are held at a time.
_WINDOW_PAIRS = 4096

# Longer passages hold so much beside what was asked for that it hardly moves their vector.
_PASSAGE_TOKENS = 128

# A character may become a token, and each is an object here.
_MAX_TOKENIZED_CHARACTERS = 2_000_000

_DEFAULT = ReadOptions()


class Engine:
    """Embeds, compares and ranks with one model. Any thread may call it.

    Args:
        model: its files.
        device, precision, threads: as in :func:`inference.encoders.load_encoder`.
        max_batch_tokens, max_waiting_tokens, hang_timeout_s: as in
            :class:`inference.batcher.Batcher`.
        deadline_s: seconds within which each slice of a request must have started.
        dimensions: cuts all vectors to so many numbers; 0 keeps them whole.
        max_answer_values: most numbers in one answer (texts x dimensions, queries x documents).
        slices_ahead: as in :class:`inference.pipeline.Pipeline`.
        cache_mb: MiB of vectors of texts that were read before; 0 keeps none.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "auto",
        precision: str = "fp32",
        threads: int = 0,
        max_batch_tokens: int = 0,
        max_waiting_tokens: int = 262_144,
        deadline_s: float = 60.0,
        hang_timeout_s: float = 120.0,
        dimensions: int = 0,
        max_answer_values: int = 2**27,
        slices_ahead: int = 2,
        cache_mb: int = 0,
    ) -> None:
        self.model = model

        def load() -> Encoder:
            # Read here once, so that no request pays for it.
            _ = model.content_hash
            encoder = load_encoder(model, device=device, precision=precision, threads=threads)
            if dimensions:
                _check_dimensions(dimensions, encoder.dim)
            return encoder

        self._batcher: Batcher[Encoder] = Batcher(
            load,
            max_batch_tokens=max_batch_tokens,
            max_waiting_tokens=max_waiting_tokens,
            hang_timeout_s=hang_timeout_s,
            # A GPU would run the second batch after the first all the same.
            express=lambda encoder: encoder.device == "cpu",
        )
        self._pipeline = Pipeline(
            self._batcher,
            deadline_s=deadline_s,
            dimensions=dimensions,
            slices_ahead=slices_ahead,
            cache=VectorCache(cache_mb * 2**20) if cache_mb else None,
        )
        self._max_answer_values = max_answer_values

    def start(self) -> None:
        """Starts to load the model, in a thread of its own; returns at once."""
        self._batcher.start()

    def close(self) -> None:
        """Takes no more work, and returns when what waits is done, or after a few seconds."""
        self._batcher.close()

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` once the model has failed for good."""
        self._batcher.on_failure(callback)

    @property
    def state(self) -> State:
        return self._batcher.state

    def info(self) -> ModelInfo:
        """What is loaded.

        Raises:
            ModelUnavailable: nothing is, yet or any more.
        """
        encoder = self._batcher.model
        return ModelInfo(
            model=self.model.name,
            hash=self.model.content_hash,
            towers=2 if self.model.has_two_towers else 1,
            pooling=self.model.pooling,
            prompts={kind: encoder.side(kind).prompt for kind in ("query", "document")},
            dimension=self._pipeline.dim,
            max_length=encoder.max_tokens,
            device=encoder.device,
            precision=encoder.precision,
            agreement=encoder.agreement,
            thresholds=vars(self.model.thresholds),
            max_batch_tokens=self._batcher.batch_tokens,
            warnings=self.model.warnings,
        )

    def check_options(self, options: ReadOptions) -> None:
        """Finds out before the first text whether texts can be read so.

        Raises:
            InvalidInput: a max_length that the model does not have.
            ModelUnavailable: nothing is loaded, yet or any more.
        """
        self._pipeline.max_tokens(options)

    def embed(
        self,
        texts: Sequence[Text],
        *,
        kind: Kind = "document",
        dimensions: int | None = None,
        options: ReadOptions = _DEFAULT,
        label: str = "texts[{}]",
        first: int = 0,
    ) -> Embeddings:
        """Unit vectors of texts, on request cut to the first ``dimensions`` and made unit again.

        Token ids may stand for a text; they are read as they are, without a prompt. Errors name a
        text by ``label``, counted from ``first``.
        """
        with _timed() as timing:
            dim = self._pipeline.dim
            if dimensions is not None:
                _check_dimensions(dimensions, dim)
            self._check_answer_size(len(texts), dim, "texts and dimensions")
            parts = self._split(TextGroup(texts, kind, label, first), options)
            (read,) = self._pipeline.encode([parts.group], options, timing)
            encoded = parts.gather(read)
            vectors = encoded.vectors
            if dimensions is not None:
                vectors = cut_dimensions(vectors, dimensions)
        return Embeddings(vectors, encoded.truncated, parts.counts, encoded.tokens, timing)

    def embed_passages(self, texts: Sequence[str]) -> PassageEmbeddings:
        """Unit vectors of documents' passages, into which long ones are cut at sentences."""
        with _timed() as timing:
            options = ReadOptions(long="chunk")
            parts = self._split(TextGroup(texts, "document", "texts[{}]"), options)
            (read,) = self._pipeline.encode([parts.group], options, timing)
        return PassageEmbeddings(parts.passages, parts.owners, read.vectors, read.tokens, timing)

    def score_pairs(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        kinds: tuple[Kind, Kind] = ("query", "document"),
        options: ReadOptions = _DEFAULT,
        labels: tuple[str, str] = ("pairs[{}].query", "pairs[{}].document"),
    ) -> PairScores:
        """Cosine and grade of each pair, by default of (query, document).

        Of two texts of one kind, either order has the same score.
        """
        scores: list[PairScore] = []
        tokens = 0
        with _timed() as timing:
            for group in _pair_groups(pairs, 0, kinds, labels):
                check_not_empty(group)
            for start in range(0, len(pairs), _WINDOW_PAIRS):
                window = pairs[start : start + _WINDOW_PAIRS]
                groups = _pair_groups(window, start, kinds, labels)
                left, right = self._pipeline.encode(groups, options, timing)
                scores += self._pair_scores(left, right, start)
                tokens += left.tokens + right.tokens
        return PairScores(scores, tokens, timing)

    def score_matrix(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        *,
        options: ReadOptions = _DEFAULT,
    ) -> ScoreMatrix:
        """Cosine of every query with every document."""
        return self.compare(
            TextGroup(queries, "query", "queries[{}]"),
            TextGroup(documents, "document", "documents[{}]"),
            options=options,
        )

    def compare(
        self, left: TextGroup, right: TextGroup, *, options: ReadOptions = _DEFAULT
    ) -> ScoreMatrix:
        """Cosine of every text of one group with every text of another, of any kinds."""
        with _timed() as timing:
            self._check_answer_size(len(left.texts), len(right.texts), "queries and documents")
            queries, documents = self._pipeline.encode([left, right], options, timing)
            scores = cosine_matrix(queries.vectors, documents.vectors)
        return ScoreMatrix(scores, queries, documents, timing)

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        k: int | None = None,
        options: ReadOptions = _DEFAULT,
        label: str = "documents[{}]",
    ) -> Ranking:
        """The ``k`` documents (default: all) nearest to the query, nearest first."""
        with _timed() as timing:
            parts = self._split(TextGroup(documents, "document", label), options)
            groups = [TextGroup([query], "query", "query"), parts.group]
            left, right = self._pipeline.encode(groups, options, timing)
            # Row by row: a matrix product may round equal rows differently, and ties would break.
            scores = cosine(left.vectors, right.vectors)
            results = self._ranked(parts, parts.gather(right), scores, k)
        return Ranking(
            results,
            query_tokens=int(left.lengths[0]),
            query_truncated=bool(left.truncated[0]),
            tokens=left.tokens + right.tokens,
            timing=timing,
        )

    def tokenize(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        special_tokens: bool = True,
        label: str = "texts[{}]",
    ) -> list[list[Token]]:
        """The tokens of each text as it stands, without a prompt and however long it is.

        Raises:
            EmptyInput: a text without a visible character.
            TooLarge: more characters than can be held as tokens.
        """
        check_not_empty(TextGroup(texts, kind, label))
        characters = sum(map(len, texts))
        if characters > _MAX_TOKENIZED_CHARACTERS:
            raise TooLarge(
                f"The texts have {characters:,} characters, more than the "
                f"{_MAX_TOKENIZED_CHARACTERS:,} that are tokenised at a time: send fewer."
            )
        encoder = self._batcher.model
        return [encoder.tokens(text, kind, special_tokens=special_tokens) for text in texts]

    def decode(
        self, rows: Sequence[Sequence[int]], *, skip_special_tokens: bool = True
    ) -> list[str]:
        """The text that each row of token ids stands for; unknown ids are left out."""
        encoder = self._batcher.model
        return [
            encoder.decode(row, "document", skip_special_tokens=skip_special_tokens) for row in rows
        ]

    def _split(self, group: TextGroup, options: ReadOptions) -> PassageGroup:
        """The group in passages if the options say so, else with each text as its only passage."""
        if options.long == "truncate":
            return whole_group(group)
        check_not_empty(group)
        most = self._pipeline.max_tokens(options)
        max_tokens = most if options.max_length else min(most, _PASSAGE_TOKENS)
        return split_group(group, self._batcher.model, max_tokens)

    def _ranked(
        self, parts: PassageGroup, documents: EncodedTexts, scores: Vectors, k: int | None
    ) -> list[RankedDocument]:
        """Documents by the score of their best passage."""
        best = parts.best(scores)
        return [
            RankedDocument(
                index=int(index),
                score=scores[best[index]],
                grade=grade(scores[best[index]], self.model.thresholds),
                tokens=int(documents.lengths[index]),
                truncated=bool(documents.truncated[index]),
                passage=parts.passages[best[index]] if parts.passages else None,
            )
            for index in top_k(scores[best], k)
        ]

    def _pair_scores(
        self, queries: EncodedTexts, documents: EncodedTexts, first: int
    ) -> Iterator[PairScore]:
        thresholds = self.model.thresholds
        scores = cosine(queries.vectors, documents.vectors)
        truncated = queries.truncated | documents.truncated
        for index, score in enumerate(scores):
            yield PairScore(
                index=first + index,
                score=score,
                grade=grade(score, thresholds),
                query_tokens=int(queries.lengths[index]),
                document_tokens=int(documents.lengths[index]),
                truncated=bool(truncated[index]),
            )

    def _check_answer_size(self, rows: int, columns: int, what: str) -> None:
        if rows * columns > self._max_answer_values:
            raise TooLarge(
                f"{rows:,} x {columns:,} numbers are more than the {self._max_answer_values:,} "
                f"that one answer may hold: send fewer {what} at a time."
            )


def _check_dimensions(dimensions: int, dim: int) -> None:
    if not 1 <= dimensions <= dim:
        raise InvalidInput(
            f"dimensions must be from 1 to {dim}, the width of this model's vectors; "
            f"it is {dimensions}.",
            item="dimensions",
        )


def _pair_groups(
    pairs: Sequence[tuple[str, str]],
    start: int,
    kinds: tuple[Kind, Kind],
    labels: tuple[str, str],
) -> list[TextGroup]:
    """Left and right texts of pairs, the first of which has the number ``start``."""
    return [
        TextGroup([left for left, _ in pairs], kinds[0], labels[0], start),
        TextGroup([right for _, right in pairs], kinds[1], labels[1], start),
    ]


@contextmanager
def _timed() -> Iterator[Timing]:
    timing = Timing()
    started = time.perf_counter()
    yield timing
    timing.total = 1000 * (time.perf_counter() - started)
    metrics.observe_timing(**vars(timing))
