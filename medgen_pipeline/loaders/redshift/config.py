"""Settings of the Redshift loader. Needs no driver and no boto3."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from medgen_pipeline.errors import SettingError
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA, Form, LoaderConfig, Span

CAPABILITIES = LoaderCapabilities(
    backend="redshift",
    max_identifier_bytes=127,
    max_text_bytes=65535,
    enforced_keys=False,
    declares_text_width=True,
    curated=True,
    views="fixed",
    documentation=(
        "https://docs.aws.amazon.com/redshift/latest/dg/r_names.html",
        "https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html",
        "https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html",
        "https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_VIEW.html",
    ),
)

_DEFAULT_PREFIX = "medgen"

# What reaches SQL or an S3 URL is checked by form: COPY takes no parameters. A role's name may hold commas; in COPY
# a comma separates the roles of a chain, so such a name cannot be used.
_ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=.@/-]+"
_KEY = r"[A-Za-z0-9!_.*()=-]+"


class RedshiftConfig(LoaderConfig):
    """Settings of the Redshift loader."""

    loader_name: ClassVar[str] = "Redshift loader"

    s3_bucket: Annotated[str, Form(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?", "the name of a bucket")] = Field(
        default="", description="Bucket through which rows reach the cluster; whoever only reads needs none."
    )
    aws_region: Annotated[str, Form(r"([a-z]{2}(-[a-z]+)+-\d)?", "a region such as us-east-1")] = Field(
        default="",
        description="Region of the bucket, and of the cluster where credentials are fetched; needed for either.",
    )
    schema_: Annotated[str, Form(r"[a-z_][a-z0-9_$]*", "lower-case letters, digits and underscores")] = Field(
        default=DEFAULT_SCHEMA,
        alias="schema",
        description="Schema of the tables; those beside it end in `_staging`, `_changes`, `_audit` and `_history`.",
    )
    s3_prefix: Annotated[str, Form(rf"/*({_KEY}(/{_KEY})*)?/*", "a key prefix such as etl/medgen")] = Field(
        default=_DEFAULT_PREFIX, description="Key prefix in the bucket; everything below it belongs to loads."
    )
    iam_role: Annotated[
        str,
        Form(
            rf"({_ROLE}(,{_ROLE})*|[Dd][Ee][Ff][Aa][Uu][Ll][Tt])?",
            "the ARN of a role, a chain of ARNs with commas and no blanks, or 'default' for the cluster's default role",
        ),
    ] = Field(default="", description="Role the cluster reads the bucket with; empty: the cluster's default role.")
    auth: Literal["password", "iam"] = Field(
        default="password", description="Where the database password is from: the DSN, or IAM."
    )
    cluster_identifier: Annotated[str, Form(r"([a-z][a-z0-9-]{0,62})?", "the identifier of a provisioned cluster")] = (
        Field(default="", description="With auth `iam`: the provisioned cluster.")
    )
    workgroup: Annotated[str, Form(r"([a-z0-9-]{3,64})?", "the name of a serverless workgroup")] = Field(
        default="", description="With auth `iam`: the serverless workgroup."
    )
    aws_profile: str = Field(
        default="", description="Profile of the shared AWS configuration; empty: as boto3 finds credentials."
    )
    conflict_attempts: Annotated[int, Span(least=1, most=100, whole=True)] = Field(
        default=8, description="How often a transaction is tried that others get in the way of."
    )
    conflict_backoff_seconds: Annotated[float, Span(most=60)] = Field(
        default=0.25, description="Seconds between two such tries, the first time; they double."
    )

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Self:
        made = super().from_mapping(config)
        if made.auth == "iam" and bool(made.cluster_identifier) == bool(made.workgroup):
            raise SettingError("Redshift loader: auth 'iam' needs either 'cluster_identifier' or 'workgroup' config.")
        if made.auth == "iam" and not made.aws_region:
            raise SettingError("Redshift loader: auth 'iam' needs 'aws_region' config.")
        prefix = made.s3_prefix.strip("/") or _DEFAULT_PREFIX
        role = "" if made.iam_role.lower() == "default" else made.iam_role  # as COPY spells it
        return made.model_copy(update={"s3_prefix": prefix, "iam_role": role})
