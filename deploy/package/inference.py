"""Inference code of a packaged sentence encoder, for containers that call these four functions.

``model_fn``, ``input_fn``, ``predict_fn`` and ``output_fn`` are those of the SageMaker inference
toolkits. The file stands alone: it needs torch, transformers and numpy, and reads what the model
does with its token vectors from ``encoder.json`` beside it.

Requests are JSON, or CSV with a column ``inputs``:

- ``{"queries": [...], "documents": [...], "max_length": 128}`` gives the vectors of both;
- ``{"inputs": text or texts}`` gives a vector for each text;
- ``{"inputs": {"source_sentence": ..., "sentences": [...]}}`` gives a cosine for each sentence.

Answers are JSON, CSV or ``application/x-npy``. Vectors are of length 1.
"""

import csv
import io
import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"

_BATCH_TEXTS = 32


class Encoder:
    """A transformer with the pooling and dense layers that the package's settings name.

    Args:
        folder: the model's folder, with config.json, weights and tokenizer.
        settings: content of encoder.json.
        device: of torch; a GPU if there is one.
    """

    def __init__(self, folder, settings, device=None):
        self._settings = settings
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        # Under this name in every version of transformers that the requirements allow.
        model = AutoModel.from_pretrained(folder, torch_dtype=torch.float32)
        self._model = model.to(self._device).eval()
        layers = [_Dense(Path(folder), layer) for layer in settings["dense"]]
        self._dense = torch.nn.ModuleList(layers).to(self._device).eval()

    def encode(self, texts, kind, max_length=None):
        """Unit vectors (n, d) of texts in fp32.

        Args:
            texts: list of str.
            kind: "query" or "document": the prompt that is put before them.
            max_length: most tokens of a text, special tokens included.
        """
        rows = [self._ids(text, kind, max_length) for text in texts]
        # Texts of a length share a batch, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        vectors = [None] * len(rows)
        for start in range(0, len(order), _BATCH_TEXTS):
            indices = order[start : start + _BATCH_TEXTS]
            batch = self._encode_batch([rows[index] for index in indices])
            for index, vector in zip(indices, batch):  # noqa: B905
                vectors[index] = vector
        return np.stack(vectors)

    def _ids(self, text, kind, max_length):
        text = _encodable(self._settings["prompts"][kind] + text)
        lowered = text.lower() if self._settings["lowercase"] else text
        most = self._settings["max_tokens"]
        ids = self._tokenizer(
            lowered if len(lowered) == len(text) else text,
            truncation=True,
            max_length=min(max_length or most, most),
        )["input_ids"]
        return ids or [self._settings["pad_id"]]

    @torch.inference_mode()
    def _encode_batch(self, rows):
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self._settings["pad_id"])
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors = _pool(hidden, mask, self._settings["pooling"])
        for layer in self._dense:
            vectors = layer(vectors)
        return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()


class _Dense(torch.nn.Module):
    """A linear layer and an activation, as sentence-transformers saves them."""

    def __init__(self, folder, layer):
        super().__init__()
        weights = _load_weights(folder / layer["path"])
        bias = "linear.bias" in weights
        self.linear = torch.nn.Linear(layer["in_features"], layer["out_features"], bias=bias)
        self.load_state_dict(weights)
        self._activation = getattr(torch.nn, layer["activation"])()
        self._normalize_first = layer["normalize_first"]

    def forward(self, vectors):
        if self._normalize_first:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        return self._activation(self.linear(vectors))


def _load_weights(folder):
    if (folder / "model.safetensors").is_file():
        from safetensors.torch import load_file

        weights = load_file(folder / "model.safetensors")
    else:
        weights = torch.load(folder / "pytorch_model.bin", weights_only=True, map_location="cpu")
    return {name: tensor.float() for name, tensor in weights.items()}


def _pool(hidden, mask, modes):
    """One vector (n, d) of each text's token vectors (n, t, h); several modes are joined."""
    mask = mask.unsqueeze(-1).to(hidden)
    counts = mask.sum(dim=1)
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device).view(1, -1, 1)
    last = counts.squeeze(-1).long() - 1
    pool = {
        "mean": lambda: (hidden * mask).sum(dim=1) / counts,
        "cls": lambda: hidden[:, 0],
        "max": lambda: hidden.masked_fill(mask == 0, -torch.inf).amax(dim=1),
        "mean_sqrt_len_tokens": lambda: (hidden * mask).sum(dim=1) / counts.sqrt(),
        "weightedmean": lambda: (hidden * mask * places).sum(dim=1) / (mask * places).sum(dim=1),
        "lasttoken": lambda: hidden[torch.arange(len(hidden), device=hidden.device), last],
    }
    return torch.cat([pool[mode]() for mode in modes], dim=-1)


def _encodable(text):
    """The text with lone UTF-16 surrogates, which JSON may carry, replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def model_fn(model_dir):
    """The encoder in the folder that the container unpacked the archive into."""
    settings = json.loads(Path(__file__).with_name("encoder.json").read_text(encoding="utf-8"))
    return Encoder(model_dir, settings)


def input_fn(body, content_type):
    """The request in a body of JSON or CSV, as a dict.

    Raises:
        ValueError: the body is neither, or no request.
    """
    kind = _media_type(content_type)
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode("utf-8-sig")
    if kind == CSV:
        return {"inputs": _read_csv(body)}
    if kind != JSON:
        raise ValueError(f"Content-Type {kind} is not read here: send {JSON} or {CSV}.")
    try:
        request = json.loads(body)
    except ValueError:
        raise ValueError("The body is not JSON.") from None
    if not isinstance(request, dict):
        raise ValueError('The body must be a JSON object, such as {"inputs": ...}.')
    return request


def predict_fn(data, model):
    """The answer to a request: an array, or an object with arrays in it.

    Raises:
        ValueError: an item of the request is missing or wrong.
    """
    if "inputs" not in data:
        return _encode_both(data, model)
    limit = _max_length(data.get("parameters") or {})
    inputs = data["inputs"]
    if isinstance(inputs, dict):
        (source,) = _texts(inputs, "source_sentence", one=True)
        sentences = _texts(inputs, "sentences")
        vectors = model.encode([source, *sentences], "document", limit)
        return vectors[1:] @ vectors[0]
    return model.encode(_texts(data, "inputs"), "document", limit)


def output_fn(prediction, accept):
    """An answer's body and its type: JSON unless CSV or npy is asked for."""
    wanted = {_media_type(part) for part in (accept or JSON).split(",")}
    if JSON not in wanted and "*/*" not in wanted:
        if NPY in wanted:
            file = io.BytesIO()
            np.save(file, _rows(prediction))
            return file.getvalue(), NPY
        if CSV in wanted:
            rows = np.atleast_1d(_rows(prediction)).tolist()
            lines = (json.dumps(row).strip("[]").replace(" ", "") for row in rows)
            return "".join(line + "\n" for line in lines), CSV
        raise ValueError(f"Accept {accept} cannot be answered: ask for {JSON}, {CSV} or {NPY}.")
    return json.dumps(prediction, default=np.ndarray.tolist), JSON


def _encode_both(data, model):
    limit = _max_length(data)
    queries = model.encode(_texts(data, "queries"), "query", limit)
    documents = model.encode(_texts(data, "documents"), "document", limit)
    return {
        "query_embeddings": queries,
        "doc_embeddings": documents,
        "embedding_dim": queries.shape[1],
        "num_queries": len(queries),
        "num_documents": len(documents),
    }


def _rows(prediction):
    """An answer as one array; the rows of an object's arrays one after the other."""
    if isinstance(prediction, dict):
        arrays = [value for value in prediction.values() if isinstance(value, np.ndarray)]
        return np.concatenate(arrays)
    return prediction


def _texts(data, name, one=False):
    value = data.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or (one and len(texts) > 1):
        raise ValueError(f"{name} must be a text" + ("." if one else ", or a list of texts."))
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name}[{index}] must be a text that is not empty.")
    return texts


def _max_length(data):
    value = data.get("max_length")
    if value is not None and (type(value) is not int or value < 3):
        raise ValueError("max_length must be a whole number from 3 on.")
    return value


def _read_csv(body):
    rows = list(csv.DictReader(io.StringIO(body)))
    if not rows or "inputs" not in rows[0]:
        raise ValueError("The CSV must have a header line with a column named inputs, and rows.")
    return [row["inputs"] for row in rows]


def _media_type(header):
    return (header or JSON).partition(";")[0].strip().lower()
