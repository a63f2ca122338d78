"""A process that writes to a collection, and says on its output what is done, until it is killed.

python corpus_writer.py FOLDER add FIRST LAST     documents FIRST to LAST of `documents()`
python corpus_writer.py FOLDER reembed MODEL      new vectors for all of them
"""

import sys
from pathlib import Path

from hash_embedder import HashEmbedder

from inference.corpus.base import Document
from inference.corpus.local import LocalCorpus

NAME = "faq"
_BATCH = 7


def documents(first: int, last: int) -> list[Document]:
    """Questions with their answers, in the order of their numbers."""
    return [
        Document(f"{number}", f"{number}번 답변입니다.", f"{number}번 질문인가요?")
        for number in range(first, last)
    ]


def main(folder: str, action: str, *arguments: str) -> None:
    if action == "add":
        collection, _ = LocalCorpus(Path(folder), HashEmbedder()).create(NAME)
        first, last = map(int, arguments)
        for start in range(first, last, _BATCH):
            batch = documents(start, min(start + _BATCH, last))
            collection.add(batch)
            print(*(document.id for document in batch), flush=True)
    else:
        corpus = LocalCorpus(Path(folder), HashEmbedder(*arguments))
        corpus.open(NAME).reembed(lambda done, _: print(done, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
