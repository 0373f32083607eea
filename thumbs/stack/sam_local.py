"""What ``sam local`` needs, so that functions in containers reach the stack on this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from thumbs.stack.deploy import CREDENTIALS, REGION, STACK_NAME
from thumbs.stack.processes import LOOPBACK, Stack, bridge_address

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient


def write_variables(stack: Stack) -> Path:
    """Write the file for ``--env-vars``: every deployed function's variables, with the bridge's address for loopback.

    ``PUBLIC_ENDPOINT_URL`` stays as it is: the URLs that are signed with it are opened on this machine.

    Args:
        stack: a stack that listens on the bridge and holds the application.

    Returns:
        The file. It may hold a provider's key, so that only its owner reads it.

    Raises:
        CommandError: there is no bridge.
    """
    bridge = bridge_address()
    session = boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    formation: CloudFormationClient = session.client("cloudformation", endpoint_url=stack.endpoint)
    functions: LambdaClient = session.client("lambda", endpoint_url=stack.endpoint)
    variables: dict[str, dict[str, str]] = {}
    for page in formation.get_paginator("list_stack_resources").paginate(StackName=STACK_NAME):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] != "AWS::Lambda::Function":
                continue
            found = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            deployed = found.get("Environment", {}).get("Variables", {})
            variables[resource["LogicalResourceId"]] = {
                **{name: value.replace(f"//{LOOPBACK}:", f"//{bridge}:") for name, value in deployed.items()},
                "AWS_ENDPOINT_URL": f"http://{bridge}:{stack.port}",
            }
    file = stack.sam_local_variables
    file.touch(mode=0o600)
    file.write_text(json.dumps(variables, indent=2) + "\n")
    return file
