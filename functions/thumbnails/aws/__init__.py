"""AWS as the domain uses it: S3, Step Functions, Secrets Manager. Only this package imports boto3."""
