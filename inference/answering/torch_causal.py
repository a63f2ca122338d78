"""A causal language model on torch and transformers, which writes token by token."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from string import whitespace
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.answering.base import Request, Usage
from inference.answering.prompts import SECTION_MARK, Message, PromptWriter
from inference.errors import InvalidInput, first_line
from inference.torch_model import (
    DTYPES,
    check_vocabulary,
    choose_device,
    choose_precision,
    load_pretrained,
    quiet_transformers,
)

# What decoders give for bytes that are no character, or not yet one.
_UNFINISHED = "\ufffd"


class TorchCausalModel:
    """A language model and its tokenizer, in eval mode. One thread uses it.

    It writes the likeliest token each time: answers are to keep to their sources.

    Args:
        name: of the model, for messages.
        path: folder with its files.
        max_tokens: of an answer.
        prompt_tokens: of a prompt; fewer where the model could not read as many and answer.
        device, precision, threads: as in :func:`inference.encoders.load_encoder`.

    Raises:
        InvalidInput: the files, the device or the precision cannot be used.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        max_tokens: int,
        prompt_tokens: int,
        device: str,
        precision: str,
        threads: int,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._tokenizer = _load_tokenizer(name, path)
        self._device = choose_device(device)
        dtype = DTYPES[choose_precision(precision, self._device)]
        self._model: Any = load_pretrained(AutoModelForCausalLM, name, path, dtype)
        check_vocabulary(name, len(self._tokenizer), self._model)
        torch.nn.Module.to(self._model, self._device)
        # Scores of the whole prompt would take more memory than the model itself.
        accepted = inspect.signature(self._model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._max_tokens = max_tokens
        window = getattr(self._model.config, "max_position_embeddings", None)
        room = window - max_tokens if window else prompt_tokens
        self._writer = PromptWriter(min(prompt_tokens, room), lambda text: len(self._ids(text)))
        special = self._tokenizer.added_tokens_decoder
        self._specials = [token.content for token in special.values() if token.special]
        self._ends = _end_ids(self._model.generation_config, self._tokenizer)

    def write(self, request: Request, usage: Usage, is_wanted: Callable[[], bool]) -> Iterator[str]:
        """Pieces of the answer, in whole characters; it ends early once it is not wanted.

        Raises:
            TooLarge: the question leaves no room for sources.
        """
        if self._tokenizer.chat_template:
            ids, mark = self._ids(self._chat_text(self._writer.chat(request))), ""
        else:
            text = self._plain(self._writer.instruction(request))
            ids, mark = self._ids(text, add_special_tokens=True), SECTION_MARK
        usage.prompt_tokens, usage.completion_tokens = len(ids), 0
        return trim_answer(decode_stream(self._tokens(ids, usage, is_wanted), self._decode), mark)

    def _tokens(
        self, prompt: list[int], usage: Usage, is_wanted: Callable[[], bool]
    ) -> Iterator[int]:
        """Greedily chosen token ids up to an end, which is not among them."""
        ids, cache = torch.tensor([prompt], device=self._device), None
        for written in range(1, self._max_tokens + 1):
            if not is_wanted():
                return
            # Around each step only: a generator would carry the mode into its caller's code.
            with torch.inference_mode():
                output = self._model(ids, past_key_values=cache, use_cache=True, **self._options)
                ids = output.logits[:, -1].argmax(dim=-1, keepdim=True)
            cache = output.past_key_values
            token = int(ids)
            if token in self._ends:
                return
            usage.completion_tokens = written
            yield token

    def _chat_text(self, messages: list[Message]) -> str:
        messages = [{**message, "content": self._plain(message["content"])} for message in messages]
        try:
            return self._render(messages)
        except TemplateError:
            # Some models have no system: the rules then stand above what is said first.
            system, first, *rest = messages
            content = f"{system['content']}\n\n{first['content']}"
            return self._render([{**first, "content": content}, *rest])

    def _render(self, messages: list[Message]) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return text

    def _plain(self, text: str) -> str:
        """A text that cannot pass for a model's own marks."""
        for special in self._specials:
            text = text.replace(special, "")
        return text

    def _ids(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=add_special_tokens).input_ids
        return ids

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


def decode_stream(tokens: Iterable[int], decode: Callable[[list[int]], str]) -> Iterator[str]:
    """The text of tokens as they come, in whole characters.

    A token may be a part of a syllable only, and its text may depend on the one before it; so
    tokens are decoded behind those of the piece before, and held until their last character is one.
    """
    ids: list[int] = []
    # ids[begin:told] is the last piece that was given.
    begin = told = 0
    for token in tokens:
        ids.append(token)
        piece = decode(ids[begin:])[len(decode(ids[begin:told])) :]
        if piece and not piece.endswith(_UNFINISHED):
            yield piece
            begin, told = told, len(ids)
    rest = decode(ids[begin:])[len(decode(ids[begin:told])) :].rstrip(_UNFINISHED)
    if rest:
        yield rest


def trim_answer(pieces: Iterable[str], mark: str) -> Iterator[str]:
    """The pieces without space around the whole, up to a mark if there is one.

    >>> list(trim_answer([" 네,", " 됩니다. ", "\\n##", "# 질문"], "###"))
    ['네,', ' 됩니다.']
    """
    held, has_begun = "", False
    for piece in pieces:
        held += piece
        if mark and mark in held:
            held = held.partition(mark)[0]
            break
        if not has_begun:
            held = held.lstrip()
        # What may be the end of the answer, or the beginning of the mark.
        ready = held.rstrip(whitespace + mark)
        if ready:
            yield ready
            held, has_begun = held[len(ready) :], True
    held = held.rstrip() if has_begun else held.strip()
    if held:
        yield held


def _load_tokenizer(name: str, path: Path) -> Any:
    quiet_transformers()
    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # what transformers raises has no common base
        raise InvalidInput(
            f"The tokenizer of model '{name}' cannot be loaded: {first_line(error)}"
        ) from error


def _end_ids(config: Any, tokenizer: Any) -> set[int]:
    """Tokens that end an answer; models that were tuned for chats have several."""
    told = config.eos_token_id
    ends = {told} if isinstance(told, int) else set(told or [])
    return ends | ({tokenizer.eos_token_id} - {None})
