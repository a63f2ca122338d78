"""What a run does, as the command line says."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bar, offline
from benchmarks.environment import ENVIRONMENTS, HERE
from benchmarks.load import Load, loads_for
from benchmarks.servers import PEERS, ROOT, Peer


@dataclass(frozen=True)
class Model:
    """A model to serve, and how much is asked of it.

    Attributes:
        bulk_texts: of the one large request.
        file_texts: of the file that commands encode.
        pace: windows are so many times as long.
    """

    name: str
    folder: Path
    bulk_texts: int
    file_texts: int
    pace: float = 1.0


MODELS = {
    model.name: model
    for model in (
        Model("ko-mini", ROOT / "models" / "ko-mini", 4096, 8192),
        Model("roberta-12x768", ENVIRONMENTS / "models" / "roberta-12x768", 1024, 2048, pace=1.5),
    )
}


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        seconds: of one load on one server in one round.
        share: of the texts of the large request and of the file, how many are used.
        only_bars: leaves out the loads that no bar is about.
    """

    servers: list[Peer]
    models: list[Model]
    rounds: int
    seconds: float
    share: float
    only_bars: bool
    folder: Path

    def loads(self, model: Model) -> list[Load]:
        return [
            load
            for load in loads_for(self.bulk_texts(model))
            if not self.only_bars or load.name in bar.LOADS
        ]

    def tools(self) -> list[offline.Tool]:
        """The commands of those servers that have one, the reference first."""
        names = {peer.name for peer in self.servers}
        return [tool for name, tool in offline.TOOLS.items() if name in names]

    def bulk_texts(self, model: Model) -> int:
        return round(self.share * model.bulk_texts)

    def file_texts(self, model: Model) -> int:
        return round(self.share * model.file_texts)


def read_plan(arguments: Sequence[str] | None) -> Plan:
    """The plan that arguments ask for; ends the program where they cannot be read."""
    parser = argparse.ArgumentParser(
        prog="make bench", description="ssang and its peers under the same loads"
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 seconds a load")
    parser.add_argument("--servers", type=_names(PEERS), default=",".join(PEERS))
    parser.add_argument("--models", type=_names(MODELS), default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=float, help="of a load in a round; default: 10")
    parser.add_argument("--bars", action="store_true", help="only the loads that bars are about")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    given = parser.parse_args(arguments)
    return Plan(
        servers=[PEERS[name] for name in given.servers],
        models=[MODELS[name] for name in given.models],
        rounds=given.rounds or (2 if given.quick else 5),
        seconds=given.seconds or (2.0 if given.quick else 10.0),
        share=0.25 if given.quick else 1.0,
        only_bars=given.bars,
        folder=given.results,
    )


class _names:  # noqa: N801 - used like a function
    """Names separated by commas, each one of those known."""

    def __init__(self, known: dict[str, Peer] | dict[str, Model]) -> None:
        self._known = known

    def __call__(self, value: str) -> list[str]:
        names = value.split(",")
        for name in names:
            if name not in self._known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(self._known)}")
        return names
