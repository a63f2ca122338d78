"""``ssang deploy``."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import click

from inference.errors import InvalidInput, SsangError
from inference.model import open_model
from inference.package import write_package
from webapp.deployment import (
    Deployment,
    Kind,
    SageMakerSettings,
    client_code,
    creation_calls,
    refusal,
    removal_calls,
    run_calls,
    scaling_calls,
    wait_until_in_service,
)

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")


@click.command()
@click.argument("model", required=False)
@click.option("--name", default="ssang", show_default=True, help="Name of the endpoint.")
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind)),
    default="real-time",
    show_default=True,
    help="An async endpoint reads from S3, and costs nothing while nothing waits.",
)
@click.option("--role", default="", help="ARN of the role it runs as.  [SAGEMAKER_ROLE_ARN]")
@click.option("--image", default="", help="Container image in ECR.  [SAGEMAKER_IMAGE_URI]")
@click.option("--bucket", default="", help="S3 bucket for the model.  [SAGEMAKER_BUCKET]")
@click.option("--region", help="AWS region.  [default: that of the AWS configuration]")
@click.option("--instance-type", default="ml.m5.xlarge", show_default=True)
@click.option("--max-instances", type=click.IntRange(1), default=1, show_default=True)
@click.option("--memory-mb", type=int, default=3072, show_default=True, help="If serverless.")
@click.option("--delete", is_flag=True, help="Take everything of this name down again.")
@click.option("--dry-run", is_flag=True, help="Only print the calls, and touch nothing.")
def deploy(
    model: str | None,
    name: str,
    kind: str,
    role: str,
    image: str,
    bucket: str,
    region: str | None,
    instance_type: str,
    max_instances: int,
    memory_mb: int,
    delete: bool,
    dry_run: bool,
) -> None:
    """Put a model on an endpoint of Amazon SageMaker, or take it down with --delete.

    MODEL is what `ssang package` takes, or the archive that it wrote. The image is ssang's own
    (deploy/Dockerfile), or one of AWS's PyTorch or Hugging Face inference containers. An endpoint
    costs money until it is deleted.
    """
    settings = SageMakerSettings()
    bucket = _required(bucket or settings.bucket, "an S3 bucket", "--bucket", "SAGEMAKER_BUCKET")
    if not _NAME.fullmatch(name):
        raise InvalidInput("--name takes up to 63 letters, digits and hyphens.", item="name")
    if delete:
        _delete(name, bucket, region, dry_run=dry_run)
        return
    deployment = Deployment(
        name=name,
        kind=cast(Kind, kind),
        role_arn=_required(role or settings.role_arn, "a role", "--role", "SAGEMAKER_ROLE_ARN"),
        image_uri=_required(
            image or settings.image_uri, "a container image", "--image", "SAGEMAKER_IMAGE_URI"
        ),
        bucket=bucket,
        archive=_required(model or "", "a model", "MODEL", ""),
        instance_type=instance_type,
        max_instances=max_instances,
        memory_mb=memory_mb,
    )
    if kind == "serverless" and max_instances > 1:
        raise InvalidInput("A serverless endpoint scales by itself: leave --max-instances out.")
    if dry_run:
        _show(deployment)
        return
    _create(deployment, region)


def _show(deployment: Deployment) -> None:
    for call in [*creation_calls(deployment), *scaling_calls(deployment)]:
        click.echo(call)


def _create(deployment: Deployment, region: str | None) -> None:
    client = _clients(region)
    _check_identity(client)
    with _archive(deployment.archive) as archive:
        packed = Deployment(**{**vars(deployment), "archive": str(archive)})
        try:
            run_calls(creation_calls(packed), client, _report)
            wait_until_in_service(packed.name, client("sagemaker"), _report)
            run_calls(scaling_calls(packed), client, _report)
        except SsangError as error:
            error.message += (
                f" What was made so far is taken down by `ssang deploy --delete --name "
                f"{packed.name} --bucket {packed.bucket}`."
            )
            raise
    click.echo(client_code(deployment))


def _delete(name: str, bucket: str, region: str | None, *, dry_run: bool) -> None:
    calls = removal_calls(name, bucket)
    if dry_run:
        for call in calls:
            click.echo(call)
        return
    client = _clients(region)
    _check_identity(client)
    run_calls(calls, client, _report, missing_ok=True)


def _clients(region: str | None) -> Callable[[str], Any]:
    """boto3's client of a name, made once."""
    try:
        import boto3
    except ImportError as error:
        raise InvalidInput("This needs boto3: pip install 'ssang[sagemaker]'.") from error
    return cache(boto3.Session(region_name=region).client)


def _check_identity(client: Callable[[str], Any]) -> None:
    """Refuses to begin without a region and credentials that AWS takes."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client("sagemaker")
        client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise refusal(error, "get_caller_identity") from error


@contextmanager
def _archive(model: str) -> Iterator[Path]:
    """The archive itself, or the model packed for the time of the block."""
    if Path(model).is_file():
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.tar.gz"
        _report(f"packing {model}")
        write_package(open_model(model), archive)
        yield archive


def _required(value: str, what: str, flag: str, variable: str) -> str:
    if not value:
        other = f", or set {variable}" if variable else ""
        raise InvalidInput(f"Deploying needs {what}: give {flag}{other}.")
    return value


def _report(line: str) -> None:
    click.echo(line, err=True)
