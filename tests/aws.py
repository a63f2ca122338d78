"""AWS's own clients, aimed at a service of ours."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "unused",
    "AWS_SECRET_ACCESS_KEY": "unused",
    "AWS_DEFAULT_REGION": "ap-northeast-2",
    # A machine's own settings would otherwise take part.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def runtime_client(url: str, key_id: str = "unused") -> Any:
    """boto3's client, which tries nothing twice."""
    session = boto3.Session(key_id, "unused", region_name=ENVIRONMENT["AWS_DEFAULT_REGION"])
    config = Config(retries={"total_max_attempts": 1})
    return session.client("sagemaker-runtime", endpoint_url=url, config=config)


def run_aws(url: str, operation: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The aws command on one operation of an endpoint called ssang."""
    command = [sys.executable, str(Path(sys.executable).with_name("aws"))]
    options = ["--endpoint-url", url, "--output", "json", "--endpoint-name", "ssang"]
    return subprocess.run(
        [*command, "sagemaker-runtime", operation, *options, *arguments],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
