"""boto3's clients, and botocore's errors as those of the package that uses them, which alone knows the requests.

boto3 is imported when a client is asked for and not before: without S3 and Redshift nobody needs it. It finds
credentials, and ``AWS_ENDPOINT_URL``, by its own rules; nothing of them passes through this package.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from medgen_pipeline.errors import PermanentError, TransientError, missing_extra

_BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"})
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket"})
_CONDITION = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_CREDENTIALS = "check the credentials boto3 finds"
_ADVICE = {
    "AllAccessDisabled": "allow access to the bucket",
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": "renew the credentials boto3 finds",
}


@dataclass(frozen=True)
class Aws:
    """AWS as one package sees it.

    Attributes:
        extra: The extra of this package that brings boto3 for it.
        refused: What is raised where AWS will not do it, and would not do it tomorrow.
        missing: What it raises where the object or bucket is not there.
        unavailable: What it raises where AWS cannot be reached, or asks for patience more often than boto3 retries.
        advice: What to do, by AWS's error code; ``AccessDenied`` is for every other 403.
    """

    extra: str
    refused: type[PermanentError]
    missing: type[PermanentError]
    unavailable: type[TransientError]
    advice: Mapping[str, str]

    def client(
        self,
        service: str,
        *,
        attempts: int = 5,
        connect_timeout: float = 15,
        read_timeout: float = 60,
        profile: str = "",
        region: str = "",
    ) -> Any:  # boto3 has no types
        """A client of ``service``, as boto3 names it, of its own session: boto3's shared one is not for threads.

        Args:
            service: For example ``s3``.
            attempts: Times a request is sent in all.
            connect_timeout: Seconds.
            read_timeout: Seconds.
            profile: Name of a profile; empty as boto3 finds it.
            region: Name of a region; empty as boto3 finds it.
        """
        try:
            import boto3  # type: ignore[import-untyped]  # ships no types
            from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
        except ImportError as error:
            raise self.refused(missing_extra("AWS", "boto3", self.extra)) from error
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            user_agent_extra="medgen_pipeline",
        )
        with self.errors(f"creating a client for {service}"):
            session = boto3.Session(profile_name=profile or None)
            return session.client(service, region_name=region or None, config=config)

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Raise botocore's errors as the package's, naming what was being done."""
        from botocore import exceptions  # type: ignore[import-untyped]  # ships no types
        from s3transfer.exceptions import RetriesExceededError  # type: ignore[import-untyped]  # ships no types

        try:
            yield
        except exceptions.ClientError as error:
            raise self._answer(doing, error) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise self.refused(f"{doing}: boto3 finds no AWS credentials: {error}.") from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError, RetriesExceededError) as error:
            raise self.unavailable(f"{doing}: AWS cannot be reached: {error}. Try again later.") from error
        except exceptions.BotoCoreError as error:
            raise self.refused(f"{doing}: {error}") from error

    def _answer(self, doing: str, error: Any) -> PermanentError | TransientError:
        code = _code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or status == 429 or code in _BUSY:
            return self.unavailable(f"{doing}: AWS answers {status} {code}: {error}. Try again later.")
        advice = {**_ADVICE, **self.advice}
        todo = advice.get(code) or (advice["AccessDenied"] if status == 403 else "see the message")
        kind = self.missing if code in _MISSING else self.refused
        return kind(f"{doing}: AWS refuses with {status} {code}: {error}. What to do: {todo}.")


def _code(error: Any) -> str:  # botocore has no types
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: Any) -> bool:  # botocore has no types
    """Whether a request was refused because the object or bucket is not there."""
    return _code(error) in _MISSING


def does_not_hold(error: Any) -> bool:  # botocore has no types
    """Whether a conditional write was refused, because somebody else has written or is writing the object."""
    return _code(error) in _CONDITION
