"""Settings of the Redshift loader, checked before anything is opened. Needs no driver and no boto3."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

from medgen_pipeline.errors import MOST_SECONDS, require_number
from medgen_pipeline.loaders.capabilities import LoaderCapabilities

CAPABILITIES = LoaderCapabilities(
    backend="redshift",
    max_identifier_bytes=127,
    max_text_bytes=65535,
    transactional_ddl=True,
    enforced_keys=False,
    declares_text_width=True,
    curated=True,
    documentation=(
        "https://docs.aws.amazon.com/redshift/latest/dg/r_names.html",
        "https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html",
        "https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html",
    ),
)

Swap = Literal["rename", "strict"]
Auth = Literal["password", "iam"]
# Each part holds up to 8 MB while it is written.
_NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "lock_timeout_seconds": {"most": MOST_SECONDS},
    "swap_wait_seconds": {"most": MOST_SECONDS},
    "drop_grace_seconds": {"most": MOST_SECONDS},
    "s3_parts": {"least": 1, "most": 32, "whole": True},
    "conflict_attempts": {"least": 1, "most": 100, "whole": True},
    "conflict_backoff_seconds": {"most": 60},
}

# What reaches SQL or an S3 URL is checked by form: COPY takes no parameters. A role's name may hold commas; in COPY
# a comma separates the roles of a chain, so such a name cannot be used.
_ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=.@/-]+"
_FORMS = {
    "s3_bucket": (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket"),
    "s3_prefix": (r"[A-Za-z0-9!_.*()=-]+(/[A-Za-z0-9!_.*()=-]+)*", "a key prefix such as etl/medgen"),
    "aws_region": (r"[a-z]{2}(-[a-z]+)+-\d", "a region such as us-east-1"),
    "iam_role": (
        rf"({_ROLE}(,{_ROLE})*)?",
        "the ARN of a role, a chain of ARNs with commas and no blanks, or 'default' for the cluster's default role",
    ),
    "schema": (r"[a-z_][a-z0-9_$]*", "lower-case letters, digits and underscores"),
    "cluster_identifier": (r"([a-z][a-z0-9-]{0,62})?", "the identifier of a provisioned cluster"),
    "workgroup": (r"([a-z0-9-]{3,64})?", "the name of a serverless workgroup"),
}


@dataclass(frozen=True)
class RedshiftConfig:
    """Settings of the Redshift loader.

    Attributes:
        s3_bucket: Bucket through which rows reach the cluster.
        aws_region: Region of the bucket, and of the cluster where credentials are fetched.
        schema: Schema of the tables; ``_staging``, ``_changes`` and ``_audit`` are appended for the others.
        s3_prefix: Key prefix in the bucket; everything below it belongs to loads.
        iam_role: Role the cluster reads the bucket with, or a chain of roles; empty or "default": the cluster's
            default role.
        swap: How a new table takes production's place: by renaming, or (strict) by DELETE and INSERT, which costs
            twice the I/O and needs no DDL while readers look.
        auth: Where the database password comes from: the DSN, or IAM.
        cluster_identifier: With ``auth="iam"``, the provisioned cluster.
        workgroup: With ``auth="iam"``, the serverless workgroup.
        lock_timeout_seconds: How long to wait for another load of the same table.
        swap_wait_seconds: How long a rename waits for running readers before the table is changed in place instead.
        drop_grace_seconds: How long a replaced table stays after the swap, for readers that had just found it.
        aws_profile: Profile of the shared AWS configuration; empty: as boto3 finds credentials.
        s3_client: Makes the S3 client; None: as every other AWS client is made.
        s3_parts: Parts of a large table, at most 32: each holds up to 8 MB while it is written. A multiple of the
            cluster's slices loads evenly.
        conflict_attempts: How often a transaction is tried that others get in the way of.
        conflict_backoff_seconds: First pause between two tries; it doubles.
    """

    s3_bucket: str
    aws_region: str
    schema: str = "medgen"
    s3_prefix: str = "medgen"
    iam_role: str = ""
    swap: Swap = "rename"
    auth: Auth = "password"
    cluster_identifier: str = ""
    workgroup: str = ""
    lock_timeout_seconds: float = 600.0
    swap_wait_seconds: float = 60.0
    drop_grace_seconds: float = 10.0
    aws_profile: str = ""
    s3_client: Callable[[], Any] | None = None
    s3_parts: int = 16
    conflict_attempts: int = 8
    conflict_backoff_seconds: float = 0.25

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Self:
        """Check names and forms.

        Raises:
            ValueError: A setting is unknown, missing, or cannot be right.
        """
        known = {field.name for field in fields(cls)}
        if strangers := sorted(set(config) - known):
            raise ValueError(f"Redshift loader: unknown settings {strangers}; known: {sorted(known)}.")
        if not config.get("s3_bucket") or not config.get("aws_region"):
            raise ValueError("Redshift loader requires 's3_bucket' and 'aws_region' config.")
        if str(config.get("iam_role")).lower() == "default":  # as COPY spells it
            config = {**config, "iam_role": ""}
        made = cls(**{**config, "s3_prefix": str(config.get("s3_prefix") or cls.s3_prefix).strip("/")})
        made._check()
        return made

    def _check(self) -> None:
        for name, (form, words) in _FORMS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or not re.fullmatch(form, value, re.ASCII):
                raise ValueError(f"Redshift loader: {name} is {value!r}, expected {words}.")
        for name, choices in (("swap", get_args(Swap)), ("auth", get_args(Auth))):
            if getattr(self, name) not in choices:
                raise ValueError(f"Redshift loader: {name} is {getattr(self, name)!r}, expected one of {choices}.")
        if self.auth == "iam" and bool(self.cluster_identifier) == bool(self.workgroup):
            raise ValueError("Redshift loader: auth 'iam' needs either 'cluster_identifier' or 'workgroup' config.")
        for name, span in _NUMBERS.items():
            require_number(f"Redshift loader: {name}", getattr(self, name), **span)
