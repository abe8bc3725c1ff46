"""AWS clients and their errors. The only module that imports boto3, and only when a client is needed.

boto3 finds credentials, and ``AWS_ENDPOINT_URL``, by its own rules; nothing of them passes through this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medgen_pipeline.errors import TransientError
from medgen_pipeline.loaders.base import LoaderError
from medgen_pipeline.loaders.redshift.config import RedshiftConfig

_REFUSED = {
    "AccessDenied": "allow s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the prefix, s3:ListBucket and "
    "s3:ListBucketMultipartUploads on the bucket",
    "AllAccessDisabled": "allow access to the bucket",
    "InvalidAccessKeyId": "check the credentials boto3 finds",
    "SignatureDoesNotMatch": "check the credentials boto3 finds",
    "ExpiredToken": "renew the credentials boto3 finds",
    "NoSuchBucket": "create the bucket, or correct s3_bucket",
    "PermanentRedirect": "correct aws_region: the bucket is in another region",
    "AuthorizationHeaderMalformed": "correct aws_region: the bucket is in another region",
}


class AwsUnavailableError(TransientError):
    """An AWS service could not be reached or asked for patience more often than the client retries."""


def client(service: str, config: RedshiftConfig) -> Any:  # boto3 has no types
    """A client of ``service``, as boto3 names it, in the settings' region and with their profile.

    Raises:
        LoaderError: boto3 is not installed, or there is no such profile.
    """
    try:
        import boto3  # type: ignore[import-untyped]  # ships no types
        from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
    except ImportError as error:
        raise LoaderError("The Redshift loader needs boto3: pip install 'medgen_pipeline[redshift]'.") from error
    settings = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=15,
        read_timeout=60,
        user_agent_extra="medgen_pipeline",
    )
    with aws_errors(f"creating a client for {service}"):
        session = boto3.Session(profile_name=config.aws_profile or None)
        return session.client(service, region_name=config.aws_region, config=settings)


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Turn botocore's errors into the contract's, naming what was being done."""
    from botocore import exceptions  # type: ignore[import-untyped]  # ships no types

    try:
        yield
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or code in {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"}:
            raise AwsUnavailableError(f"{doing}: AWS answers {status} {code}: {error}. Load again later.") from error
        advice = _REFUSED.get(code, _REFUSED["AccessDenied"] if status == 403 else "see the message")
        raise LoaderError(f"{doing}: AWS refuses with {status} {code}: {error}. What to do: {advice}.") from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise LoaderError(f"{doing}: boto3 finds no AWS credentials: {error}.") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise AwsUnavailableError(f"{doing}: AWS cannot be reached: {error}. Load again later.") from error
    except exceptions.BotoCoreError as error:
        raise LoaderError(f"{doing}: {error}") from error
