"""Deploying against moto's server, by the command as users run it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import boto3
import pytest
from moto.server import ThreadedMotoServer
from ssang_command import SSANG, Completed, environment
from tiny_model import save_bert

from webapp.deployment import POLICY_ARN, Deployment, Kind, creation_calls, scaling_calls

BUCKET = "models"
REGION = "ap-northeast-2"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
PLACE = {
    "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/serving",
    "SAGEMAKER_IMAGE_URI": f"123456789012.dkr.ecr.{REGION}.amazonaws.com/ssang:latest",
    "SAGEMAKER_BUCKET": BUCKET,
}


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Address of an AWS that is none, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    _client(address, "s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    yield address
    server.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("models") / "bert")


def _client(address: str, name: str) -> Any:
    return boto3.client(
        name,
        endpoint_url=address,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def _deploy(*arguments: object, folder: Path, **variables: str) -> Completed:
    """The command in an empty folder, with these AWS_* and SAGEMAKER_* variables only."""
    kept = {
        name: value
        for name, value in environment().items()
        if not name.startswith(("AWS_", "SAGEMAKER_"))
    }
    nowhere = {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    checkout = {"PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [*SSANG, "deploy", *map(str, arguments)],
        env={**kept, **nowhere, **checkout, **variables},
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def _there(address: str, name: str) -> dict[str, list[str]]:
    """What AWS has of an endpoint."""
    sagemaker = _client(address, "sagemaker")
    scaling = _client(address, "application-autoscaling")
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    alarms = _client(address, "cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
    objects = _client(address, "s3").list_objects_v2(Bucket=BUCKET, Prefix=f"ssang/{name}/")
    return {
        "endpoints": [
            one["EndpointName"] for one in sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        ],
        "configs": [
            one["EndpointConfigName"]
            for one in sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
        ],
        "models": [one["ModelName"] for one in sagemaker.list_models(NameContains=name)["Models"]],
        "policies": [one["PolicyName"] for one in policies if f"/{name}/" in one["ResourceId"]],
        # Target tracking has alarms that AWS makes and removes by itself.
        "alarms": [one["AlarmName"] for one in alarms if one["AlarmName"] == f"{name}-wake"],
        "objects": [one["Key"] for one in objects.get("Contents", [])],
    }


@pytest.mark.parametrize(
    ("kind", "options", "policies"),
    [
        ("real-time", [], []),
        ("real-time", ["--max-instances", 3], ["load"]),
        ("serverless", [], []),
        ("async", ["--max-instances", 2], ["load", "wake"]),
    ],
)
def test_endpoint_comes_and_goes(
    kind: str, options: list[object], policies: list[str], aws: str, model: Path, tmp_path: Path
) -> None:
    name = f"{kind}-{len(options)}"
    variables = {**CREDENTIALS, **PLACE, "AWS_ENDPOINT_URL": aws}
    where = ["--name", name, "--region", REGION]
    done = _deploy(model, "--kind", kind, *where, *options, folder=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert f"endpoint {name}: InService" in done.stderr
    assert _there(aws, name) == {
        "endpoints": [name],
        "configs": [name],
        "models": [name],
        "policies": [f"{name}-{policy}" for policy in policies],
        "alarms": [f"{name}-wake"] if kind == "async" else [],
        "objects": [f"ssang/{name}/model.tar.gz"],
    }
    compile(done.stdout, "client code", "exec")
    assert f'EndpointName="{name}"' in done.stdout

    for _ in ("taken down", "not there any more"):
        done = _deploy("--delete", *where, folder=tmp_path, **variables)
        assert done.returncode == 0, done.stderr
        assert not any(_there(aws, name).values())


def test_parameters_of_an_asynchronous_endpoint(aws: str, model: Path, tmp_path: Path) -> None:
    variables = {**CREDENTIALS, **PLACE, "AWS_ENDPOINT_URL": aws, "AWS_DEFAULT_REGION": REGION}
    done = _deploy(model, "--kind", "async", "--name", "zero", folder=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    described = _client(aws, "sagemaker").describe_model(ModelName="zero")
    assert described["ExecutionRoleArn"] == PLACE["SAGEMAKER_ROLE_ARN"]
    assert described["PrimaryContainer"]["Image"] == PLACE["SAGEMAKER_IMAGE_URI"]
    scaling = _client(aws, "application-autoscaling")
    (target,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=["endpoint/zero/variant/AllTraffic"]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (wake,) = [policy for policy in policies if policy["PolicyName"] == "zero-wake"]
    (alarm,) = _client(aws, "cloudwatch").describe_alarms(AlarmNames=["zero-wake"])["MetricAlarms"]
    assert alarm["AlarmActions"] == [wake["PolicyARN"]]


def test_dry_run_prints_the_calls_in_order_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in PLACE.items()))
    done = _deploy("ko-mini", "--kind", "async", "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    calls = [line.removesuffix("(") for line in done.stdout.splitlines() if line.endswith("(")]
    assert calls == [
        "s3.upload_file",
        "sagemaker.create_model",
        "sagemaker.create_endpoint_config",
        "sagemaker.create_endpoint",
        "application-autoscaling.register_scalable_target",
        "application-autoscaling.put_scaling_policy",
        "application-autoscaling.put_scaling_policy",
        "cloudwatch.put_metric_alarm",
    ]
    assert PLACE["SAGEMAKER_ROLE_ARN"] in done.stdout
    done = _deploy("--delete", "--dry-run", folder=tmp_path)
    assert "sagemaker.delete_endpoint(" in done.stdout.splitlines()


def test_calls_have_the_parameters_that_boto3_knows() -> None:
    """botocore's own description of the services, the required members included."""
    from botocore.validate import validate_parameters

    role, image, bucket = PLACE.values()
    for kind in get_args(Kind):
        deployment = Deployment("name", kind, role, image, bucket, "m.tar.gz", max_instances=2)
        for call in creation_calls(deployment)[1:] + scaling_calls(deployment):
            client = _client("http://127.0.0.1", call.client)
            operation = client.meta.method_to_api_mapping[call.method]
            shape = client.meta.service_model.operation_model(operation).input_shape
            validate_parameters(call.parameters, shape)
    assert (
        POLICY_ARN
        in scaling_calls(Deployment("n", "async", "", "", "", ""))[-1].parameters["AlarmActions"]
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["ko-mini"], {}, "Deploying needs an S3 bucket: give --bucket, or set SAGEMAKER_BUCKET."),
        (["ko-mini", "--bucket", "b"], {}, "Deploying needs a role"),
        ([], PLACE, "Deploying needs a model"),
        (["ko-mini", "--name", "a_b"], PLACE, "--name takes up to 63 letters"),
        (["ko-mini", "--kind", "serverless", "--max-instances", "2"], PLACE, "scales by itself"),
        (["ko-mini"], PLACE, "No AWS region is known"),
        (["ko-mini", "--region", REGION], PLACE, "There are no AWS credentials"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    arguments: list[str], variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    done = _deploy(*arguments, folder=tmp_path, **variables)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert sentence in line


def test_refusal_of_aws_says_how_to_clean_up(aws: str, model: Path, tmp_path: Path) -> None:
    variables = {**CREDENTIALS, **PLACE, "AWS_ENDPOINT_URL": aws, "SAGEMAKER_BUCKET": "nobodys"}
    done = _deploy(model, "--name", "odd", "--region", REGION, folder=tmp_path, **variables)
    assert done.returncode == 1
    assert "upload_file failed" in done.stderr
    assert "ssang deploy --delete --name odd --bucket nobodys" in done.stderr
