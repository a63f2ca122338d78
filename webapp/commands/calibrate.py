"""``ssang calibrate``."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from os.path import expanduser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from inference import calibration
from inference.calibration import Boundary, Labels, Scores
from inference.calibration_plot import check_plot, plot_calibration
from inference.errors import Conflict, InvalidInput
from inference.pair_table import PairTable, score_rows
from inference.pipeline import ReadOptions
from inference.resource import locate
from inference.table import Table, open_table
from webapp.commands.model import loaded_engine, model_flags
from webapp.commands.progress import progress_bar
from webapp.commands.source import open_path
from webapp.settings import Settings

if TYPE_CHECKING:
    from inference.engine import Engine

_DIGITS = 4


@click.command()
@click.argument("source", metavar="PAIRS", type=click.Path(exists=True, dir_okay=False))
@click.option("--label-column", default="", help="Default: label, else score.")
@click.option("--query-column", default="", help="Default: query, else sentence1.")
@click.option("--document-column", default="", help="Default: document, else sentence2.")
@click.option("--high", type=float, help="Least label of the grade high, such as 4 of 5.")
@click.option("--medium", type=float, help="Least label of the grade medium, such as 2.5.")
@click.option("--binary", type=float, help="Least label of a match, such as 3.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture with the histograms of both classes and the ROC; needs matplotlib.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write in place of the model folder's ssang.json.",
)
@click.option("--dry-run", is_flag=True, help="Only print the thresholds.")
@model_flags
def calibrate(
    settings: Settings,
    source: str,
    label_column: str,
    query_column: str,
    document_column: str,
    high: float | None,
    medium: float | None,
    binary: float | None,
    plot: Path | None,
    output: Path | None,
    dry_run: bool,
) -> None:
    """Find the model's thresholds from labelled pairs, and write them to its ssang.json.

    PAIRS is a table of pairs as for `ssang score`, with a label: 0 or 1 gives the threshold of a
    match; a number, such as KorSTS's 0 to 5, gives those whose least label is named by --high,
    --medium and --binary. Each threshold is the one of the greatest balanced accuracy.
    """
    target = None if dry_run else output or _model_folder(settings) / "ssang.json"
    existing = _read_settings_file(target)
    if plot:
        check_plot()
    with open_path(Path(source)) as file:
        table = open_table(file, name=source)
        pairs = PairTable.of(table, query_column=query_column, document_column=document_column)
        labels = _read_labels(table, table.require_column(*_label_names(label_column)))
        least = _least_labels(labels, high=high, medium=medium, binary=binary)
        with loaded_engine(settings) as engine:
            scores, known = _score(engine, pairs, labels)
            precision = engine.info().precision
    classes: dict[str, Labels] = {name: known >= label for name, label in least.items()}
    found = {name: calibration.calibrate(scores, positive) for name, positive in classes.items()}
    _check_order(found)
    _print(found, least)
    if plot:
        plot_calibration(plot, scores, classes, found)
    if target:
        origin = {
            "data": Path(source).name,
            "rows": len(scores),
            "date": datetime.now(UTC).date().isoformat(),
            "precision": precision,
        }
        _write(target, existing, found, least, origin)
        click.echo(f"Written to {target}.", err=True)


def _model_folder(settings: Settings) -> Path:
    """The model's folder, if it is one that a user keeps."""
    folder = Path(expanduser(settings.document_model or settings.model)).resolve()
    embedded = locate("inference", "models").resolve()
    if not folder.is_dir() or folder.is_relative_to(embedded):
        raise Conflict(
            f"Model '{settings.model}' is no folder of yours to write to: name a file with "
            "--output, or only look with --dry-run."
        )
    return folder


def _read_settings_file(target: Path | None) -> dict[str, Any]:
    if target is None or not target.exists():
        return {}
    try:
        existing = json.loads(target.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{target} is not JSON: mend or remove it.") from error
    if not isinstance(existing, dict):
        raise InvalidInput(f"{target} is no JSON object: mend or remove it.")
    return existing


def _label_names(label_column: str) -> tuple[str, ...]:
    return (label_column,) if label_column else ("label", "score")


def _read_labels(table: Table, column: str) -> dict[int, float]:
    """Labels by row; rows without a number there are left out."""
    labels = {}
    for row in table:
        try:
            label = float(str(row.values.get(column)))
        except ValueError:
            continue
        if np.isfinite(label):
            labels[row.number] = label
    if not labels:
        raise InvalidInput(f"Column '{column}' holds no numbers.")
    return labels


def _least_labels(labels: Mapping[int, float], **asked: float | None) -> dict[str, float]:
    """The least label of the positive class of each threshold that can be found."""
    least = {name: label for name, label in asked.items() if label is not None}
    if least:
        return least
    if set(labels.values()) <= {0.0, 1.0}:
        return {"binary": 1.0}
    raise InvalidInput(
        f"The labels run from {min(labels.values()):g} to {max(labels.values()):g}: say from "
        "which on a pair counts, such as --high 4 --medium 2.5 --binary 3."
    )


def _score(
    engine: "Engine", pairs: PairTable, labels: Mapping[int, float]
) -> tuple[Scores, Scores]:
    """Scores (n,) and labels (n,) of the rows that have both."""
    scores: list[float] = []
    known: list[float] = []
    failed = 0
    rows = (row for row in pairs if row.number in labels)
    with progress_bar(len(labels), unit="rows") as bar:
        for window in score_rows(engine, rows, options=ReadOptions()):
            for row in window.rows:
                if row.score is None:
                    failed += 1
                    continue
                scores.append(float(row.score.score))
                known.append(labels[row.number])
            bar.update(len(window.rows))
    if failed:
        click.echo(f"{failed:,} rows could not be scored and are left out.", err=True)
    return np.array(scores), np.array(known)


def _check_order(found: Mapping[str, Boundary]) -> None:
    if {"high", "medium"} <= set(found) and found["medium"].threshold > found["high"].threshold:
        raise InvalidInput(
            "The threshold of medium came out above that of high: these labels do not rise with "
            "the model's scores."
        )


def _print(found: Mapping[str, Boundary], least: Mapping[str, float]) -> None:
    click.echo("threshold           label   balanced accuracy     AUC   positive / negative pairs")
    for name, boundary in found.items():
        click.echo(
            f"{name:8} {boundary.threshold:8.{_DIGITS}f}   >= {least[name]:<5g} "
            f"{boundary.balanced_accuracy:14.4f} {boundary.auc:12.4f}   "
            f"{boundary.positives:,} / {boundary.negatives:,}"
        )


def _write(
    target: Path,
    existing: dict[str, Any],
    found: Mapping[str, Boundary],
    least: Mapping[str, float],
    origin: Mapping[str, object],
) -> None:
    """Writes the thresholds, and where they are from, in one step; other members stay."""
    thresholds = {name: round(boundary.threshold, _DIGITS) for name, boundary in found.items()}
    quality = {
        name: {"least_label": least[name], **asdict(boundary)} for name, boundary in found.items()
    }
    content = {
        **existing,
        "thresholds": {**existing.get("thresholds", {}), **thresholds},
        "calibration": {**origin, "boundaries": quality},
    }
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    temporary.replace(target)
