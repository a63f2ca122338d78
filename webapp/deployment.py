"""A SageMaker endpoint as the list of calls that make it, and of those that take it down.

The lists are made without AWS, so that they can be shown before anything is touched. What each call
takes is told at https://docs.aws.amazon.com/sagemaker/latest/APIReference and, for scaling to
zero, https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.errors import DeadlineExceeded, InvalidInput, SsangError

Kind = Literal["real-time", "async", "serverless"]

_VARIANT = "AllTraffic"
_COOLDOWN_S = 300
_BACKLOG_PER_INSTANCE = 5.0
_INVOCATIONS_PER_INSTANCE_MINUTE = 600.0

_POLL_S = 15.0
_READY_S = 3600.0

POLICY_ARN = "PolicyARN of the call before"
"""Stands in parameters for what AWS answers to the call before."""

# AWS has no error of its own for a resource that is not there.
_NOT_THERE = ("Could not find", "Cannot find", "No scalable target", "No scaling policy")


class SageMakerSettings(BaseSettings):
    """What every deployment needs; read from SAGEMAKER_* in the environment or in .env."""

    model_config = SettingsConfigDict(
        env_prefix="SAGEMAKER_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    role_arn: str = Field("", description="role that the endpoint runs as")
    image_uri: str = Field("", description="container image, as ECR names it")
    bucket: str = Field("", description="S3 bucket for the model and asynchronous answers")


@dataclass(frozen=True)
class Deployment:
    """An endpoint to be made.

    Attributes:
        name: of the endpoint, and of all that belongs to it.
        kind: of the endpoint.
        role_arn, image_uri, bucket: see :class:`SageMakerSettings`.
        archive: path of the model.tar.gz to upload.
        instance_type: of real-time and asynchronous endpoints, such as ``ml.m5.xlarge``.
        max_instances: above 1, instances are added under load; an asynchronous endpoint always
            scales, down to none.
        memory_mb: of a serverless endpoint.
    """

    name: str
    kind: Kind
    role_arn: str
    image_uri: str
    bucket: str
    archive: str
    instance_type: str = "ml.m5.xlarge"
    max_instances: int = 1
    memory_mb: int = 3072


@dataclass(frozen=True)
class Call:
    """A call of AWS: the client's name in boto3, its method, and the keyword arguments."""

    client: str
    method: str
    parameters: dict[str, Any]

    def __str__(self) -> str:
        lines = (f"    {name}={value!r}," for name, value in self.parameters.items())
        return "\n".join([f"{self.client}.{self.method}(", *lines, ")"])


def creation_calls(deployment: Deployment) -> list[Call]:
    """Upload, model, configuration and endpoint, in their order."""
    name, bucket = deployment.name, deployment.bucket
    container = {
        "Image": deployment.image_uri,
        "ModelDataUrl": f"s3://{bucket}/{_model_key(name)}",
    }
    return [
        Call(
            "s3",
            "upload_file",
            {"Filename": deployment.archive, "Bucket": bucket, "Key": _model_key(name)},
        ),
        Call(
            "sagemaker",
            "create_model",
            {
                "ModelName": name,
                "PrimaryContainer": container,
                "ExecutionRoleArn": deployment.role_arn,
            },
        ),
        Call("sagemaker", "create_endpoint_config", _endpoint_config(deployment)),
        Call("sagemaker", "create_endpoint", {"EndpointName": name, "EndpointConfigName": name}),
    ]


def scaling_calls(deployment: Deployment) -> list[Call]:
    """What makes an endpoint that stands follow its load; nothing for one that does not scale."""
    if deployment.kind == "serverless" or (
        deployment.kind == "real-time" and deployment.max_instances == 1
    ):
        return []
    asynchronous = deployment.kind == "async"
    target = _scalable_target(deployment.name)
    capacity = {"MinCapacity": 0 if asynchronous else 1, "MaxCapacity": deployment.max_instances}
    tracking = {
        **target,
        "PolicyName": _tracking(deployment.name),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            **(_backlog(deployment.name) if asynchronous else _invocations()),
            "ScaleInCooldown": _COOLDOWN_S,
            "ScaleOutCooldown": _COOLDOWN_S,
        },
    }
    calls = [
        Call("application-autoscaling", "register_scalable_target", {**target, **capacity}),
        Call("application-autoscaling", "put_scaling_policy", tracking),
    ]
    return calls + _waking_calls(deployment.name) if asynchronous else calls


def removal_calls(name: str, bucket: str) -> list[Call]:
    """Everything that a deployment of this name made, last things first."""
    target = _scalable_target(name)
    policies = [{**target, "PolicyName": policy} for policy in (_tracking(name), _waking(name))]
    return [
        *(Call("application-autoscaling", "delete_scaling_policy", policy) for policy in policies),
        Call("application-autoscaling", "deregister_scalable_target", target),
        Call("cloudwatch", "delete_alarms", {"AlarmNames": [_waking(name)]}),
        Call("sagemaker", "delete_endpoint", {"EndpointName": name}),
        Call("sagemaker", "delete_endpoint_config", {"EndpointConfigName": name}),
        Call("sagemaker", "delete_model", {"ModelName": name}),
        Call("s3", "delete_object", {"Bucket": bucket, "Key": _model_key(name)}),
    ]


def run_calls(
    calls: Iterable[Call],
    client: Callable[[str], Any],
    report: Callable[[str], object],
    *,
    missing_ok: bool = False,
) -> None:
    """Makes calls in their order.

    Args:
        calls: see above.
        client: boto3's client of a name.
        report: called with a line before each call.
        missing_ok: what is not there counts as done.

    Raises:
        InvalidInput: AWS refused one, or could not be reached; the later ones were not made.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    answer: dict[str, Any] | None = None
    for call in calls:
        report(f"{call.client} {call.method}")
        parameters = {
            name: [(answer or {})["PolicyARN"]] if value == [POLICY_ARN] else value
            for name, value in call.parameters.items()
        }
        try:
            answer = getattr(client(call.client), call.method)(**parameters)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            if not (missing_ok and any(words in str(error) for words in _NOT_THERE)):
                raise refusal(error, call.method) from error


def wait_until_in_service(name: str, sagemaker: Any, report: Callable[[str], object]) -> None:
    """Returns when an endpoint stands.

    Raises:
        InvalidInput: it failed, for the reason that AWS gives.
        DeadlineExceeded: it did not stand after an hour.
    """
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _READY_S:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        report(f"endpoint {name}: {status} ({waited:.0f} s)")
        if status == "InService":
            return
        if status not in {"Creating", "Updating", "SystemUpdating"}:
            reason = endpoint.get("FailureReason", "AWS gives no reason.")
            raise InvalidInput(f"Endpoint '{name}' is {status}: {reason}")
        time.sleep(_POLL_S)
    raise DeadlineExceeded(f"Endpoint '{name}' does not stand after {_READY_S / 60:.0f} minutes.")


def refusal(error: Exception, method: str) -> SsangError:
    """What went wrong with AWS as one sentence with its mend."""
    from botocore.exceptions import NoCredentialsError, NoRegionError

    if isinstance(error, NoCredentialsError):
        return InvalidInput(
            "There are no AWS credentials: run `aws configure`, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        )
    if isinstance(error, NoRegionError):
        return InvalidInput("No AWS region is known: give --region, or set AWS_DEFAULT_REGION.")
    return InvalidInput(f"{method} failed: {error}")


def client_code(deployment: Deployment) -> str:
    """Python that asks the endpoint."""
    if deployment.kind == "async":
        place = f"s3://{deployment.bucket}/{_folder(deployment.name)}/input/request.json"
        asking = f"""answer = runtime.invoke_endpoint_async(
    EndpointName="{deployment.name}",
    ContentType="application/json",
    InputLocation="{place}",
)
print(answer["OutputLocation"])"""
    else:
        asking = f"""answer = runtime.invoke_endpoint(
    EndpointName="{deployment.name}",
    ContentType="application/json",
    Body=json.dumps({{"queries": ["최신 기술"], "documents": ["인공지능이 발전합니다."]}}),
)
print(json.load(answer["Body"]))"""
    imports = "import boto3" if deployment.kind == "async" else "import json\n\nimport boto3"
    return f'{imports}\n\nruntime = boto3.client("sagemaker-runtime")\n{asking}'


def _endpoint_config(deployment: Deployment) -> dict[str, Any]:
    variant: dict[str, Any] = {"VariantName": _VARIANT, "ModelName": deployment.name}
    if deployment.kind == "serverless":
        variant["ServerlessConfig"] = {"MemorySizeInMB": deployment.memory_mb, "MaxConcurrency": 5}
    else:
        variant |= {"InstanceType": deployment.instance_type, "InitialInstanceCount": 1}
    config: dict[str, Any] = {
        "EndpointConfigName": deployment.name,
        "ProductionVariants": [variant],
    }
    if deployment.kind == "async":
        folder = f"s3://{deployment.bucket}/{_folder(deployment.name)}"
        output = {"S3OutputPath": f"{folder}/output", "S3FailurePath": f"{folder}/failure"}
        config["AsyncInferenceConfig"] = {"OutputConfig": output}
    return config


def _waking_calls(name: str) -> list[Call]:
    """Adds an instance when requests wait and there is none, which tracking a load cannot see."""
    policy = {
        **_scalable_target(name),
        "PolicyName": _waking(name),
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": _COOLDOWN_S,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    }
    alarm = {
        "AlarmName": _waking(name),
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": _dimensions(name),
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [POLICY_ARN],
    }
    return [
        Call("application-autoscaling", "put_scaling_policy", policy),
        Call("cloudwatch", "put_metric_alarm", alarm),
    ]


def _backlog(name: str) -> dict[str, Any]:
    metric = {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": _dimensions(name),
        "Statistic": "Average",
    }
    return {"TargetValue": _BACKLOG_PER_INSTANCE, "CustomizedMetricSpecification": metric}


def _invocations() -> dict[str, Any]:
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return {
        "TargetValue": _INVOCATIONS_PER_INSTANCE_MINUTE,
        "PredefinedMetricSpecification": metric,
    }


def _dimensions(name: str) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": name}]


def _scalable_target(name: str) -> dict[str, Any]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{_VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _tracking(name: str) -> str:
    return f"{name}-load"


def _waking(name: str) -> str:
    """Of the policy that adds the first instance, and of the alarm that calls it."""
    return f"{name}-wake"


def _folder(name: str) -> str:
    return f"ssang/{name}"


def _model_key(name: str) -> str:
    return f"{_folder(name)}/model.tar.gz"
