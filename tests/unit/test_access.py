"""What the template lets each part do, what it keeps closed, and whom it tells: over every resource of its kind."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from entry.observability import SPENT
from thumbnails.tables.rows import ENDINGS

PROJECT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = load(str(PROJECT / "template.yaml"))
#: What only an account has: a nested stack, whose parameters have the names of the resources that they stand for.
MONITORING: dict[str, Any] = load(str(PROJECT / "infra" / "monitoring.yaml"))
RESOURCES: dict[str, Any] = {**TEMPLATE["Resources"], **MONITORING["Resources"]}


def of_type(kind: str) -> dict[str, Any]:
    """Resources of a type, by logical id."""
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS, MACHINES = of_type("AWS::Serverless::Function"), of_type("AWS::Serverless::StateMachine")
ROLES, ALARMS, LOG_GROUPS = of_type("AWS::IAM::Role"), of_type("AWS::CloudWatch::Alarm"), of_type("AWS::Logs::LogGroup")
every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_machine = pytest.mark.parametrize("name", MACHINES)
#: API Gateway's own, for the logs of every API in the account; all others belong to a function or a state machine.
LOGS_ROLE = "ApiLogsRole"
every_role = pytest.mark.parametrize("name", [name for name in ROLES if name != LOGS_ROLE])


def plain(value: Any) -> Any:
    """A property as ``Fn::Sub`` would write it: ``${Bucket.Arn}`` for a reference."""
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return f"${{{argument}}}"
        if function == "Fn::GetAtt":
            return f"${{{argument if isinstance(argument, str) else '.'.join(argument)}}}"
        if function == "Fn::Sub":
            return argument
    return value


def alternatives(value: Any) -> list[Any]:
    """What a property may be, over the conditions."""
    return [plain(one) for one in (value["Fn::If"][1:] if isinstance(value, dict) and "Fn::If" in value else [value])]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(role: str) -> list[dict[str, Any]]:
    """A role's statements, the ones on a condition too."""
    found = [one for policy in ROLES[role].get("Policies", ()) for one in policy["PolicyDocument"]["Statement"]]
    return [one["Fn::If"][1] if "Fn::If" in one else one for one in found]


def grants(role: str) -> set[tuple[str, str]]:
    """(action, resource), one by one."""
    return {
        (action, plain(resource))
        for statement in statements(role)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def on(resources: str | list[str], *actions: str) -> set[tuple[str, str]]:
    return {(action, resource) for action in actions for resource in listed(resources)}


def of_a_function(logs: str) -> set[tuple[str, str]]:
    traces = on("*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")
    return traces | on(f"${{{logs}.Arn}}", "logs:CreateLogStream", "logs:PutLogEvents")


#: What AWS knows no resources for: https://docs.aws.amazon.com/service-authorization/, X-Ray and log delivery.
WITHOUT_RESOURCES = on(
    "*",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
BUCKET = "${ImageBucket.Arn}"
MACHINE_ARNS = ["${GenerateBatchStateMachine}", "${GenerateThumbnailsStateMachine}", "${GenerateCampaignStateMachine}"]
EXECUTION_ARNS = [
    f"arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:execution:${{{name}.Name}}:*"
    for name in ("GenerateBatchStateMachine", "GenerateThumbnailsStateMachine", "GenerateCampaignStateMachine")
]
#: Any version of the one that SnapStart is for: an execution goes on with the one that it began with.
VERSIONS = "${GenerateThumbnailFunction.Arn}:*"
IMAGE_FUNCTIONS = [
    "${ValidateBatchFunction.Arn}",
    "${GenerateThumbnailFunction.Arn}",
    VERSIONS,
    "${CollectBatchFunction.Arn}",
]
DEFAULT_BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
CAMPAIGNS, BUDGETS, MEASURED = f"{BUCKET}/campaigns/*", f"{BUCKET}/budget/*", f"{BUCKET}/measured/*"
BRANDS = f"{BUCKET}/brands/*"
STATES = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
# By name: the Map's rows are executions of the state machine that has this role.
CAMPAIGN_MACHINE, CAMPAIGN_ROWS = (
    f"{STATES}:stateMachine:${{AWS::StackName}}-generateCampaign",
    f"{STATES}:execution:${{AWS::StackName}}-generateCampaign/*:*",
)
# What Step Functions hears by of the end of an execution that another has started.
SYNC_RULE = (
    "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"
    "StepFunctionsGetEventsForStepFunctionsExecutionRule"
)
# Whichever key the secret is under; a condition leaves only what Secrets Manager asks for just this secret.
KMS_KEYS = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"

EXPECTED = {
    "ValidateBatchRole": of_a_function("ValidateBatchLogs")
    | on([f"{BUCKET}/runs/*/request.json", BUDGETS], "s3:GetObject", "s3:PutObject")
    | on([f"{BUCKET}/gallery/*", f"{BUCKET}/begun/*"], "s3:PutObject")
    | on(
        [f"{BUCKET}/inbox/*", f"{BUCKET}/scheduled/*", f"{BUCKET}/runs/*/event.json"],
        "s3:GetObject",
        "s3:GetObjectVersion",
    )
    | on([f"{CAMPAIGNS}/budget/*", f"{CAMPAIGNS}/campaign.json", MEASURED, BRANDS], "s3:GetObject")
    | on(f"{BUCKET}/rejected/*", "s3:PutObject")
    | on(BUCKET, "s3:ListBucket"),
    "GenerateThumbnailRole": of_a_function("GenerateThumbnailLogs")
    | on([f"{BUCKET}/runs/*.jpg", f"{BUCKET}/originals/*", BUDGETS], "s3:GetObject", "s3:PutObject")
    | on([f"{BUCKET}/gallery/*", f"{BUCKET}/spent/*"], "s3:PutObject")
    | on([f"{BUCKET}/runs/*/request.json", MEASURED, BRANDS, f"{CAMPAIGNS}/economy/failed/*"], "s3:GetObject")
    | on("arn:${AWS::Partition}:bedrock:${BedrockRegion}::foundation-model/stability.*", "bedrock:InvokeModel")
    | on(BUCKET, "s3:ListBucket")
    | on("${ProviderKeysSecretArn}", "secretsmanager:GetSecretValue")
    | on(KMS_KEYS, "kms:Decrypt"),
    "CollectBatchRole": of_a_function("CollectBatchLogs")
    | on([BUDGETS, MEASURED], "s3:GetObject", "s3:PutObject")
    | on([f"{BUCKET}/runs/*/request.json", f"{BUCKET}/runs/*.jpg", f"{BUCKET}/originals/*"], "s3:GetObject")
    | on(BUCKET, "s3:ListBucket")
    | on(f"{BUCKET}/runs/*/manifest.json", "s3:PutObject"),
    "StartBatchRole": of_a_function("StartBatchLogs")
    | on("${GenerateBatchStateMachine}", "states:StartExecution")
    | on(f"{BUCKET}/runs/*/event.json", "s3:PutObject")
    | on("${LostEvents.Arn}", "sqs:SendMessage"),
    "ApiRole": of_a_function("ApiLogs")
    | on(MACHINE_ARNS, "states:StartExecution", "states:ListExecutions")
    | on(EXECUTION_ARNS, "states:DescribeExecution", "states:GetExecutionHistory", "states:StopExecution")
    | on(EXECUTION_ARNS[2], "states:ListMapRuns")
    | on(f"{STATES}:mapRun:${{GenerateCampaignStateMachine.Name}}/*:*", "states:DescribeMapRun")
    | on([f"{BUCKET}/runs/*", f"{CAMPAIGNS}/campaign.json", f"{CAMPAIGNS}/manifest.json"], "s3:GetObject")
    | on([BUDGETS, MEASURED], "s3:GetObject")
    | on([f"{BUCKET}/runs/*/claim.json", f"{BUCKET}/runs/*/archive.zip", f"{BUCKET}/begun/*"], "s3:PutObject")
    | on(f"{BUCKET}/begun.json", "s3:GetObject", "s3:PutObject")
    | on(f"{BUCKET}/originals/*", "s3:GetObject")
    | on([f"{BUCKET}/winners/*", BRANDS], "s3:GetObject", "s3:PutObject")
    | on(DEFAULT_BUS, "events:PutEvents")
    | on(f"{BUCKET}/runs/*.jpg", "s3:DeleteObject")
    | on(BUCKET, "s3:ListBucket")
    | on("${ProviderKeysSecretArn}", "secretsmanager:GetSecretValue")
    | on(KMS_KEYS, "kms:Decrypt"),
    "GenerateBatchRole": WITHOUT_RESOURCES
    | on(IMAGE_FUNCTIONS, "lambda:InvokeFunction")
    | on(DEFAULT_BUS, "events:PutEvents"),
    "GenerateThumbnailsRole": WITHOUT_RESOURCES | on(IMAGE_FUNCTIONS, "lambda:InvokeFunction"),
    "ValidateCampaignRole": of_a_function("ValidateCampaignLogs")
    | on([f"{CAMPAIGNS}{ending}" for ending in ENDINGS], "s3:GetObject")
    | on(
        [f"{CAMPAIGNS}/{file}" for file in ("campaign.json", "requests.json", "rows/*.json", "budget/*")],
        "s3:PutObject",
        "s3:AbortMultipartUpload",
    )
    | on(f"{BUCKET}/begun/*", "s3:PutObject")
    | on(BUDGETS, "s3:GetObject", "s3:PutObject")
    | on([MEASURED, BRANDS], "s3:GetObject")
    | on(BUCKET, "s3:ListBucket"),
    "CollectCampaignRole": of_a_function("CollectCampaignLogs")
    | on(
        [
            *(f"{CAMPAIGNS}/{file}" for file in ("campaign.json", "images.jsonl", "results/*", "budget/*")),
            f"{BUCKET}/runs/*/manifest.json",
        ],
        "s3:GetObject",
    )
    | on(BUDGETS, "s3:GetObject", "s3:PutObject")
    | on([f"{CAMPAIGNS}/images.jsonl", f"{CAMPAIGNS}/manifest.json"], "s3:PutObject", "s3:AbortMultipartUpload")
    | on(BUCKET, "s3:ListBucket"),
    "BatchCampaignRole": of_a_function("BatchCampaignLogs")
    | on(
        [f"{CAMPAIGNS}/requests.json", f"{CAMPAIGNS}/rows/*.json", f"{BUCKET}/runs/*/request.json", BRANDS],
        "s3:GetObject",
    )
    | on(f"{CAMPAIGNS}/economy/*", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    | on([f"{BUCKET}/runs/*.jpg", f"{BUCKET}/originals/*"], "s3:GetObject", "s3:PutObject")
    | on(f"{BUCKET}/spent/*", "s3:PutObject")
    | on(BUCKET, "s3:ListBucket")
    | on("${ProviderKeysSecretArn}", "secretsmanager:GetSecretValue")
    | on(KMS_KEYS, "kms:Decrypt"),
    "CampaignRole": WITHOUT_RESOURCES
    | on(
        [f"${{{name}CampaignFunction.Arn}}" for name in ("Validate", "Batch", "Collect")],
        "lambda:InvokeFunction",
    )
    | on(["${GenerateThumbnailsStateMachine}", CAMPAIGN_MACHINE], "states:StartExecution")
    | on([EXECUTION_ARNS[1], CAMPAIGN_ROWS], "states:DescribeExecution", "states:StopExecution")
    | on(SYNC_RULE, "events:PutTargets", "events:PutRule", "events:DescribeRule")
    | on([f"{CAMPAIGNS}/requests.json", f"{CAMPAIGNS}/rows/*.json"], "s3:GetObject")
    | on(
        f"{CAMPAIGNS}/results/*",
        "s3:PutObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:AbortMultipartUpload",
    )
    | on(DEFAULT_BUS, "events:PutEvents"),
}


@every_role
def test_a_role_may_do_what_is_listed_here_and_no_more(name: str) -> None:
    assert name in EXPECTED, f"list here what {name} may do"
    assert grants(name) == EXPECTED[name]


@every_role
def test_a_role_has_no_managed_policy_no_wildcard_action_and_no_bare_resource(name: str) -> None:
    assert "ManagedPolicyArns" not in ROLES[name]
    assert {statement["Effect"] for statement in statements(name)} == {"Allow"}
    parts = {"Sid", "Effect", "Action", "Resource"}
    assert all(set(statement) == parts for statement in statements(name) if statement["Action"] != "kms:Decrypt")
    for action, resource in grants(name) - WITHOUT_RESOURCES:
        assert "*" not in action
        assert isinstance(resource, str)
        assert resource.startswith(("${", "arn:"))
        # Objects of the bucket, or all executions of one state machine.
        assert "*" not in resource.removesuffix(".Name}:*").removeprefix(f"{BUCKET}/")[:1]
        assert not resource.endswith(f"{BUCKET}/*")


@pytest.mark.parametrize("name", ["GenerateThumbnailRole", "BatchCampaignRole", "ApiRole"])
def test_a_secret_under_a_key_of_its_owners_is_decrypted_and_nothing_else(name: str) -> None:
    (statement,) = [one for one in statements(name) if one["Action"] == "kms:Decrypt"]
    assert {key: plain(value) for key, value in statement["Condition"]["StringEquals"].items()} == {
        "kms:ViaService": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}",
        "kms:EncryptionContext:SecretARN": "${ProviderKeysSecretArn}",
    }
    assert set(statement["Condition"]) == {"StringEquals"}


@every_role
def test_a_role_is_assumed_by_one_service_for_one_function_or_state_machine(name: str) -> None:
    users = [
        resource
        for resource in (*FUNCTIONS, *MACHINES)
        if plain(RESOURCES[resource]["Properties"]["Role"]) == f"${{{name}.Arn}}"
    ]
    assert len(users) == 1
    (statement,) = ROLES[name]["AssumeRolePolicyDocument"]["Statement"]
    service = "lambda.amazonaws.com" if users[0] in FUNCTIONS else "states.amazonaws.com"
    assert statement == {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


@every_machine
def test_a_state_machine_invokes_the_functions_of_its_definition_and_no_other(name: str) -> None:
    machine = MACHINES[name]
    text = (PROJECT / machine["DefinitionUri"]).read_text()
    filled = {key: alternatives(value) for key, value in machine["DefinitionSubstitutions"].items()}
    used = {arn for key in re.findall(r"\$\{(\w+)\}", text) for arn in filled[key]}
    functions = {arn for arn in used if arn.removeprefix("${").removesuffix(".Arn}") in FUNCTIONS}
    functions |= {VERSIONS} if "${GenerateThumbnailRelease}" in used else set()
    role = plain(machine["Role"]).removeprefix("${").removesuffix(".Arn}")
    assert functions
    assert {resource for action, resource in grants(role) if action == "lambda:InvokeFunction"} == functions
    announces = "arn:aws:states:::events:putEvents" in text
    assert any(action == "events:PutEvents" for action, _ in grants(role)) == announces


def test_a_runtime_that_is_too_old_for_the_wheels_is_refused_in_an_account() -> None:
    parameters = TEMPLATE["Parameters"]
    assert parameters["Runtime"]["Default"] == "python3.13"
    assert parameters["Architecture"]["AllowedValues"] == ["x86_64", "arm64"]
    everywhere = TEMPLATE["Globals"]["Function"]
    assert (plain(everywhere["Runtime"]), everywhere["Architectures"]) == ("${Runtime}", [{"Ref": "Architecture"}])
    assert not any({"Runtime", "Architectures"} & set(function) for function in FUNCTIONS.values())
    rule = TEMPLATE["Rules"]["RuntimeOfAnAccount"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "PublicEndpointUrl"}, ""]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Runtime"}, "python3.11"]}]}


def test_images_are_made_from_a_snapshot_of_a_published_version_where_a_release_is_named() -> None:
    assert FUNCTIONS["GenerateThumbnailFunction"]["SnapStart"]["Fn::If"][:2] == [
        "WantsSnapStart",
        {"ApplyOn": "PublishedVersions"},
    ]
    release = RESOURCES["GenerateThumbnailRelease"]
    assert (release["Type"], release["Condition"], release["DeletionPolicy"]) == (
        "AWS::Lambda::Version",
        "WantsSnapStart",
        "Retain",
    )
    assert plain(release["Properties"]["Description"]) == "${SnapStartRelease}"
    calling = [machine["DefinitionSubstitutions"].get("GenerateThumbnailFunctionArn") for machine in MACHINES.values()]
    wanted = ["${GenerateThumbnailRelease}", "${GenerateThumbnailFunction.Arn}"]
    assert [alternatives(arn) for arn in calling if arn] == [wanted, wanted]
    # What is prepared before the snapshot: of all functions, only this one has something.
    hooked = [path.parent.name for path in PROJECT.glob("functions/*/app.py") if "before_snapshot" in path.read_text()]
    assert hooked == ["generate_thumbnail"]


@every_machine
def test_a_state_machine_logs_its_errors_without_what_writers_wrote(name: str) -> None:
    logging = MACHINES[name]["Logging"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
    (destination,) = logging["Destinations"]
    group = plain(destination["CloudWatchLogsLogGroup"]["LogGroupArn"]).removeprefix("${").removesuffix(".Arn}")
    # Names under this prefix need no resource policy that grows with each.
    assert plain(LOG_GROUPS[group]["LogGroupName"]).startswith("/aws/vendedlogs/states/")


@pytest.mark.parametrize("name", LOG_GROUPS)
def test_a_log_group_is_encrypted_with_a_key_that_the_logs_service_may_use_for_it_and_forgets(name: str) -> None:
    group = LOG_GROUPS[name]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    key = plain(group["KmsKeyId"]).removeprefix("${").removesuffix(".Arn}")
    (logs,) = [one for one in of_type("AWS::KMS::Key")[key]["KeyPolicy"]["Statement"] if one["Sid"] == "LogsEncrypt"]
    assert plain(logs["Principal"]["Service"]) == "logs.${AWS::Region}.${AWS::URLSuffix}"
    patterns = [plain(one) for one in logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]]
    arn = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{plain(group['LogGroupName'])}"
    assert any(arn.startswith(pattern.removesuffix("*")) for pattern in patterns)
    assert all("${AWS::StackName}" in pattern for pattern in patterns)


@pytest.mark.parametrize("name", of_type("AWS::KMS::Key"))
def test_a_key_is_rotated_and_used_by_the_account_and_by_services_on_a_condition(name: str) -> None:
    key = of_type("AWS::KMS::Key")[name]
    assert key["EnableKeyRotation"] is True
    account, *services = key["KeyPolicy"]["Statement"]
    assert plain(account["Principal"]["AWS"]) == "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
    for statement in services:
        assert set(statement["Principal"]) == {"Service"}
        assert statement["Condition"]
        assert "kms:*" not in listed(statement["Action"])


def test_api_gateway_may_write_logs_by_the_policy_that_aws_has_for_it_and_no_stack_takes_that_away() -> None:
    role = RESOURCES[LOGS_ROLE]
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    (policy,) = role["Properties"]["ManagedPolicyArns"]
    assert plain(policy).endswith(":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs")
    assert "Policies" not in role["Properties"]
    for name in (LOGS_ROLE, "ApiLogsAccount"):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["Condition"]) == (
            "RetainExceptOnCreate",
            "IsAccount",
        )


def test_the_api_wants_a_key_or_a_signature_on_all_but_what_says_nothing_of_runs() -> None:
    body = RESOURCES["Api"]["Properties"]["DefinitionBody"]
    wanted = {"Fn::If": ["WantsApiKey", [{"api_key": []}], {"Fn::If": ["WantsIam", [{"sigv4": []}], []]}]}
    asked = {
        (path, method): operation.get("security")
        for path, methods in body["paths"].items()
        for method, operation in methods.items()
    }
    assert {route: security for route, security in asked.items() if security != wanted} == {
        ("/health", "x-amazon-apigateway-any-method"): None,
        ("/options", "x-amazon-apigateway-any-method"): None,
        # The page, which asks its reader for the key.
        ("/", "x-amazon-apigateway-any-method"): None,
        ("/web/{proxy+}", "x-amazon-apigateway-any-method"): None,
        ("/{proxy+}", "options"): None,
    }
    assert body["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert TEMPLATE["Parameters"]["ApiAccess"]["AllowedValues"] == ["key", "iam", "open"]
    assert TEMPLATE["Parameters"]["ApiAccess"]["Default"] == "key"


def test_requests_are_logged_without_keys_and_without_paths() -> None:
    condition, setting, otherwise = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Fn::If"]
    assert (condition, otherwise) == ("IsAccount", {"Ref": "AWS::NoValue"})
    assert setting["DestinationArn"]["Fn::Join"][1][1] == {"Ref": "ApiAccessLogs"}
    logged = set(json.loads(setting["Format"]).values())
    assert {"$context.requestId", "$context.status", "$context.resourcePath", "$context.identity.apiKeyId"} <= logged
    assert not logged & {"$context.identity.apiKey", "$context.path", "$context.requestOverride.path.proxy"}


def test_a_key_has_a_days_requests_and_starts_few_runs_at_once() -> None:
    (plan,) = of_type("AWS::ApiGateway::UsagePlan").values()
    assert plan["Quota"] == {"Limit": {"Ref": "ApiRequestsPerDay"}, "Period": "DAY"}
    (stage,) = plan["ApiStages"]
    assert stage["Throttle"] == {"/{proxy+}/POST": {"RateLimit": 1, "BurstLimit": 5}}


def test_a_web_acl_stands_before_the_api_where_one_is_named() -> None:
    association = RESOURCES["ApiWebAcl"]
    assert association["Condition"] == "HasWebAcl"
    assert association["Properties"]["WebACLArn"] == {"Ref": "WebAclArn"}
    assert plain(association["Properties"]["ResourceArn"]).endswith("::/restapis/${Api}/stages/v1")


@pytest.mark.parametrize(
    ("alarm", "metric", "threshold"), [("ApiFaultsAlarm", "5XXError", 4), ("SlowApiAlarm", "Latency", 12000)]
)
def test_an_alarm_rings_when_the_api_fails_or_is_slow(alarm: str, metric: str, threshold: int) -> None:
    (found,) = metrics_of(alarm).values()
    assert found["named"][:2] == ("AWS/ApiGateway", metric)
    api = RESOURCES["Api"]["Properties"]
    assert found["of"] == {
        "ApiName": plain(api["Name"]).replace("AWS::StackName", "Application"),
        "Stage": api["StageName"],
    }
    assert ALARMS[alarm]["Threshold"] == threshold


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = RESOURCES["ImageBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    return found


def test_the_bucket_is_private() -> None:
    bucket = RESOURCES["ImageBucket"]["Properties"]
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert [plain(policy["Bucket"]) for policy in of_type("AWS::S3::BucketPolicy").values()] == ["${ImageBucket}"]
    (policy,) = of_type("AWS::S3::BucketPolicy").values()
    assert {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]} == {"Deny"}


#: What of a resource is its name, where it has one.
NAMES = {
    "AWS::ApiGateway::ApiKey": "Name",
    "AWS::ApiGateway::UsagePlan": "UsagePlanName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Serverless::Api": "Name",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::Serverless::StateMachine": "Name",
}


def test_stacks_live_side_by_side_because_every_name_is_made_from_the_stacks_own() -> None:
    named = {
        id: plain(resource["Properties"][NAMES[resource["Type"]]])
        for id, resource in RESOURCES.items()
        if resource["Type"] in NAMES
    }
    assert len(named) > 20
    assert {id: name for id, name in named.items() if not re.match(r".*\$\{(AWS::StackName|Application)\}", name)} == {}
    unnamed = {
        id: key
        for id, resource in RESOURCES.items()
        if resource["Type"] not in NAMES
        for key in resource["Properties"]
        if re.fullmatch(r"(Role|Topic|Queue|Rule|Bucket|Policy|Alias)?Name", key)
    }
    assert unnamed == {"ImageBucket": "BucketName"}
    assert RESOURCES["ImageBucket"]["Properties"]["BucketName"] == {
        "Fn::If": ["NamesBucket", {"Ref": "BucketName"}, {"Ref": "AWS::NoValue"}]
    }
    assert TEMPLATE["Parameters"]["BucketName"]["Default"] == ""


def test_the_bucket_answers_over_tls_only() -> None:
    (statement,) = RESOURCES["ImageBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert [plain(resource) for resource in statement["Resource"]] == [BUCKET, f"{BUCKET}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_bucket_is_encrypted_and_versioned_and_outlives_its_stack() -> None:
    bucket = RESOURCES["ImageBucket"]["Properties"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert RESOURCES["ImageBucket"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES["ImageBucket"]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    "prefix", ["runs/", "originals/", "inbox/", "rejected/", "campaigns/", "gallery/", "begun/", "spent/", "budget/"]
)
def test_what_runs_leave_in_the_bucket_ends_with_its_lifetime(prefix: str) -> None:
    (rule,) = [rule for rule in rules() if rule.get("Prefix") == prefix]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "ImageLifetimeDays"})


def test_a_scheduled_file_stays_and_old_versions_and_broken_uploads_go() -> None:
    assert {rule["Prefix"] for rule in rules() if "ExpirationInDays" in rule} == {
        "runs/",
        "originals/",
        "inbox/",
        "rejected/",
        "campaigns/",
        "gallery/",
        "begun/",
        "spent/",
        "budget/",
    }
    versions, uploads = [rule for rule in rules() if "Prefix" not in rule]
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "ImageLifetimeDays"}}
    assert versions["ExpiredObjectDeleteMarker"] is True
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert {rule["Status"] for rule in rules()} == {"Enabled"}


def test_what_rings_and_shows_is_a_nested_stack_of_an_account() -> None:
    assert not TEMPLATE["Resources"].keys() & MONITORING["Resources"].keys()
    stack = TEMPLATE["Resources"]["Monitoring"]
    assert (stack["Type"], stack["Condition"]) == ("AWS::CloudFormation::Stack", "IsAccount")
    assert (PROJECT / stack["Properties"]["TemplateURL"]).samefile(PROJECT / "infra" / "monitoring.yaml")
    assert not any(resource["Type"].startswith("AWS::CloudWatch::") for resource in TEMPLATE["Resources"].values())


def test_the_nested_stack_is_given_what_its_parameters_are_called_after() -> None:
    given = {
        name: plain(value) for name, value in TEMPLATE["Resources"]["Monitoring"]["Properties"]["Parameters"].items()
    }
    assert given.keys() == MONITORING["Parameters"].keys()
    assert given.pop("Application") == "${AWS::StackName}"
    assert given.pop("TopicKeyArn") == "${LogKey.Arn}"
    assert given.pop("LostEvents") == "${LostEvents.QueueName}"
    assert given == {name: f"${{{name}}}" for name in given}
    assert given.keys() == {*FUNCTIONS, *MACHINES, "AlarmEmail", "DailySpendLimitUsd"}


def test_the_topic_is_encrypted_with_a_key_that_alarms_may_use() -> None:
    (topic,) = of_type("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == {"Ref": "TopicKeyArn"}
    key = of_type("AWS::KMS::Key")["LogKey"]
    (alarms,) = [one for one in key["KeyPolicy"]["Statement"] if one["Sid"] == "AlarmsPublish"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def metrics_of(alarm: str) -> dict[str, dict[str, Any]]:
    """An alarm's metrics by id: namespace, name, dimensions, and the period in seconds."""
    found = {}
    for metric in ALARMS[alarm]["Metrics"]:
        if "MetricStat" in metric:
            stat = metric["MetricStat"]
            given = {one["Name"]: plain(one["Value"]) for one in stat["Metric"]["Dimensions"]}
            named = (plain(stat["Metric"]["Namespace"]), stat["Metric"]["MetricName"], stat["Stat"], stat["Period"])
            found[metric["Id"]] = {"named": named, "of": given}
    return found


def expression_of(alarm: str) -> str:
    (found,) = [metric["Expression"] for metric in ALARMS[alarm]["Metrics"] if "Expression" in metric]
    return str(found)


def summed(alarm: str, *names: tuple[str, str]) -> list[str]:
    """What an alarm counts these metrics of, where its expression is the plain sum of them all."""
    metrics = metrics_of(alarm)
    assert expression_of(alarm).split(" + ") == [
        f"FILL({name}, 0)" for name in sorted(metrics, key=expression_of(alarm).index)
    ]
    assert {metric["named"] for metric in metrics.values()} == {(*name, "Sum", 300) for name in names}
    return sorted(next(iter(metric["of"].values())) for metric in metrics.values())


def test_an_alarm_rings_when_a_run_of_any_state_machine_fails() -> None:
    counted = summed("FailedRunsAlarm", ("AWS/States", "ExecutionsFailed"), ("AWS/States", "ExecutionsTimedOut"))
    assert counted == sorted(f"${{{name}}}" for name in MACHINES for _ in range(2))


def test_an_alarm_rings_when_any_function_or_state_machine_is_throttled() -> None:
    assert summed("ThrottledFunctionsAlarm", ("AWS/Lambda", "Throttles")) == sorted(
        f"${{{name}}}" for name in FUNCTIONS
    )
    machines = summed("ThrottledRunsAlarm", ("AWS/States", "ExecutionThrottled"))
    assert machines == sorted(f"${{{name}}}" for name in MACHINES)


def test_an_alarm_rings_when_too_many_tries_for_an_image_fail() -> None:
    metrics = metrics_of("FailureRateAlarm")
    assert {name: metric["named"] for name, metric in metrics.items()} == {
        "errors": ("AWS/Lambda", "Errors", "Sum", 900),
        "tries": ("AWS/Lambda", "Invocations", "Sum", 900),
    }
    assert [metric["of"] for metric in metrics.values()] == [{"FunctionName": "${GenerateThumbnailFunction}"}] * 2
    assert expression_of("FailureRateAlarm") == "IF(FILL(tries, 0) >= 5, 100 * errors / tries, 0)"
    assert ALARMS["FailureRateAlarm"]["Threshold"] == 20


def test_an_alarm_rings_when_an_event_is_lost_or_cannot_be_started() -> None:
    lost = metrics_of("LostEventsAlarm")
    assert {metric["named"] for metric in lost.values()} == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", 300),
        ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "Maximum", 300),
    }
    assert [metric["of"] for metric in lost.values()] == [{"QueueName": "${LostEvents}"}] * 2
    failed = summed("FailedStartsAlarm", ("AWS/Lambda", "Errors"), ("AWS/Lambda", "DestinationDeliveryFailures"))
    assert failed == ["${StartBatchFunction}"] * 2
    assert [ALARMS[name]["Threshold"] for name in ("LostEventsAlarm", "FailedStartsAlarm")] == [0, 0]


LOST_EVENTS = "${LostEvents.Arn}"
START_BATCH: dict[str, Any] = FUNCTIONS["StartBatchFunction"]


@pytest.mark.parametrize("name", START_BATCH["Events"])
def test_an_event_that_cannot_be_delivered_for_a_day_is_kept(name: str) -> None:
    rule = START_BATCH["Events"][name]["Properties"]
    assert rule["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert {key: plain(value) for key, value in rule["DeadLetterConfig"].items()} == {"Arn": LOST_EVENTS}


def test_an_event_that_cannot_be_started_is_tried_thrice_and_kept() -> None:
    invoked = START_BATCH["EventInvokeConfig"]
    assert (invoked["MaximumEventAgeInSeconds"], invoked["MaximumRetryAttempts"]) == (21600, 2)
    failed = invoked["DestinationConfig"]["OnFailure"]
    assert (failed["Type"], plain(failed["Destination"])) == ("SQS", LOST_EVENTS)


def test_lost_events_are_kept_as_long_as_can_be_and_only_the_functions_rules_may_add_to_them() -> None:
    (queue,) = of_type("AWS::SQS::Queue").values()
    assert queue == {"MessageRetentionPeriod": 14 * 86400, "SqsManagedSseEnabled": True}
    (policy,) = of_type("AWS::SQS::QueuePolicy").values()
    assert [plain(one) for one in policy["Queues"]] == ["${LostEvents}"]
    rules, tls = policy["PolicyDocument"]["Statement"]
    assert (rules["Effect"], rules["Principal"], rules["Action"], plain(rules["Resource"])) == (
        "Allow",
        {"Service": "events.amazonaws.com"},
        "sqs:SendMessage",
        LOST_EVENTS,
    )
    ((comparison, condition),) = rules["Condition"].items()
    # CloudFormation calls a rule after the stack and the rule's logical id, which SAM makes of the function's.
    made = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-StartBatchFunction*"
    assert (comparison, plain(condition["aws:SourceArn"])) == ("ArnLike", made)
    assert (tls["Effect"], tls["Action"], tls["Condition"]) == (
        "Deny",
        "sqs:*",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_the_bus_takes_requests_from_named_sources_of_this_account_alone() -> None:
    pattern = START_BATCH["Events"]["BatchRequested"]["Properties"]["Pattern"]
    assert [plain(account) for account in pattern["account"]] == ["${AWS::AccountId}"]
    # The bus is every stack's: where no source is named, its own name says whose event it is.
    named, own = pattern["source"]["Fn::If"][1:]
    assert (plain(named), [plain(one) for one in own]) == ("${RequestSources}", ["${AWS::StackName}"])
    assert TEMPLATE["Parameters"]["RequestSources"]["Type"] == "CommaDelimitedList"


def test_runs_are_refused_above_a_days_budget_unless_somebody_says_otherwise() -> None:
    assert TEMPLATE["Parameters"]["DailyBudgetUsd"]["Default"] > 0
    everywhere = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert plain(everywhere["DAILY_BUDGET_USD"]) == "${DailyBudgetUsd}"


def test_the_spend_alarm_sums_what_every_call_cost() -> None:
    service = FUNCTIONS["GenerateThumbnailFunction"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    namespace = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]
    assert namespace == {"Ref": "AWS::StackName"}
    assert metrics_of("DailySpendAlarm") == {
        "spent": {"named": ("${Application}", SPENT, "Sum", 86400), "of": {"service": service}}
    }
    assert expression_of("DailySpendAlarm") == "FILL(spent, 0)"
    assert ALARMS["DailySpendAlarm"]["Threshold"] == {"Ref": "DailySpendLimitUsd"}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_whoever_wants_to_know_and_rests_where_nothing_happens(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == {"Fn::If": ["MailsAlarms", [{"Ref": "AlarmTopic"}], []]}
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    # CloudWatch takes no more in one alarm.
    assert len(metrics_of(name)) <= 10
    assert [metric["Id"] for metric in alarm["Metrics"] if metric.get("ReturnData", True)] == [
        alarm["Metrics"][0]["Id"]
    ]


def dashboard() -> list[dict[str, Any]]:
    body = plain(of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"])
    found: list[dict[str, Any]] = json.loads(body.replace("${DailySpendLimitUsd}", "25"))["widgets"]
    return found


def shown_on_the_dashboard() -> set[str]:
    return {
        part if isinstance(part, str) else part.get("expression", "")
        for widget in dashboard()
        for metric in widget["properties"]["metrics"]
        for part in metric
    }


def test_the_dashboard_shows_every_function_and_state_machine() -> None:
    shown = shown_on_the_dashboard()
    assert {f"${{{name}}}" for name in (*FUNCTIONS, *MACHINES)} <= shown
    assert {"ExecutionsFailed", "Errors", "Throttles", "ExecutionThrottled", SPENT} <= shown


@pytest.mark.parametrize("name", ["Images", "ImagesFailed", "PaidCalls", SPENT, "ProviderLatency"])
def test_the_dashboard_looks_for_every_model_there_is(name: str) -> None:
    found = [one for one in shown_on_the_dashboard() if "SEARCH" in one and f'MetricName="{name}"' in one]
    assert len(found) == 1
    assert '{"${Application}",model,service}' in found[0]


def test_a_dashboards_widgets_do_not_overlap() -> None:
    places = [
        (widget["x"] + dx, widget["y"] + dy)
        for widget in dashboard()
        for dx in range(widget["width"])
        for dy in range(widget["height"])
    ]
    assert len(places) == len(set(places))


@every_function
def test_a_function_holds_a_key_only_where_it_calls_a_provider(name: str) -> None:
    variables = FUNCTIONS[name].get("Environment", {}).get("Variables", {})
    keys = {variable for variable in variables if variable.endswith("_API_KEY") or variable == "PROVIDER_KEYS_SECRET"}
    assert bool(keys) == (name in ("GenerateThumbnailFunction", "BatchCampaignFunction", "ApiFunction"))


#: Every list of pins.
PINS = sorted(path for path in (*PROJECT.glob("requirements*.txt"), *PROJECT.glob("functions/*/requirements.txt")))


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PROJECT))) for path in PINS])
def test_every_requirement_is_pinned_with_its_hashes_and_names_no_url(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[\w.!+]+( ; [^-]+)? +--hash=sha256:[0-9a-f]{64}\b", line), line
        assert not re.search(r"--(?!hash=sha256:[0-9a-f]{64})", line), line


def test_every_folder_of_a_function_has_its_pins() -> None:
    assert {path.parent.name for path in PINS} >= {function["Handler"].split(".")[0] for function in FUNCTIONS.values()}


def test_every_exception_from_the_security_lint_says_why() -> None:
    sources = [path for folder in ("functions", "thumbs") for path in (PROJECT / folder).rglob("*.py")]
    lines = [line for path in sources for line in path.read_text().splitlines() if "nosec" in line]
    assert lines
    assert [line for line in lines if not re.search(r"# nosec B\d{3} # \w.+", line)] == []
