"""AWS as the Redshift loader sees it: its errors, what to do about them, and clients with the loader's settings."""

from typing import Any

from medgen_pipeline.aws import Aws
from medgen_pipeline.errors import TransientError
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.redshift.config import RedshiftConfig


class AwsUnavailableError(TransientError):
    """An AWS service could not be reached or asked for patience more often than the client retries."""


_OTHER_REGION = "correct aws_region: the bucket is in another region"
_AWS = Aws(
    extra="redshift",
    refused=LoaderError,
    missing=LoaderError,
    unavailable=AwsUnavailableError,
    advice={
        "AccessDenied": "allow s3:PutObject and s3:DeleteObject on the prefix, s3:ListBucket on the bucket",
        "NoSuchBucket": "create the bucket, or correct s3_bucket",
        "PermanentRedirect": _OTHER_REGION,
        "AuthorizationHeaderMalformed": _OTHER_REGION,
    },
)
aws_errors = _AWS.errors


def client(service: str, config: RedshiftConfig) -> Any:  # boto3 has no types
    """A client of ``service``, as boto3 names it, in the settings' region and with their profile.

    Raises:
        LoaderError: boto3 is not installed, or there is no such profile.
    """
    return _AWS.client(service, profile=config.aws_profile, region=config.aws_region)
