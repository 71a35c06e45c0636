"""Object stores: which addresses can work, and how they are reached.

delta-rs, Arrow and Spark take their settings from the environment alike: endpoint, region and
credentials. `storage.options` are such variables, for all of them; credentials are none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import PlainSerializer

if TYPE_CHECKING:
    from obstore.store import ObjectStore

WORKS = "a local folder, s3://, gs:// or abfss://"
_STORES = ("s3", "gs", "abfss", "abfs")
_NAMES = re.compile(r"(AWS|GOOGLE|AZURE)_[A-Z0-9_]+")
_SECRET_SETTINGS = re.compile(
    r"secret|password|passwd|token|access\.key|account\.key|credential(?!s\.provider)|private",
    re.IGNORECASE,
)
_SECRETS = re.compile(r"SECRET|TOKEN|PASSWORD|KEY|SAS|CREDENTIAL(?!S_URI)|SIGNATURE")


def checked_address(address: str, *, also: tuple[str, ...] = ()) -> str:
    """An address as everything here understands it.

    Parameters
    ----------
    also : tuple of str
        More schemes than those of `WORKS`.

    Raises
    ------
    ValueError
        It cannot work; the message says what does.
    """
    scheme, has_slashes, rest = address.partition("://")
    if has_slashes:
        has_user = "@" in rest.partition("/")[0] and not scheme.startswith("abfs")
        if "?" in rest or has_user:
            raise ValueError(
                f"{scheme}:// addresses hold no options and no credentials here: set "
                "storage.options, and credentials in the environment"
            )
        # One store, of which Spark, Arrow and delta-rs know different names.
        scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(scheme, scheme)
        if scheme == "file":
            return rest
        if scheme not in (*_STORES, *also):
            raise ValueError(f"{scheme}:// cannot work here: give {WORKS}")
        if not rest.strip("/"):
            raise ValueError(f"{address} names no bucket: give {scheme}://bucket/folder")
        return f"{scheme}://{rest}"
    if re.match(r"[A-Za-z][\w+.-]+:/", address):
        scheme = address.partition(":")[0]
        mounted = f", or the mounted path /{scheme}/..." if scheme == "dbfs" else ""
        raise ValueError(f"{scheme}:/ cannot work here: give {WORKS}{mounted}")
    if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){1,2}", address) and not Path(address).exists():
        raise ValueError(
            f"{address} reads like a table of a catalog, which cannot work here: give {WORKS}; "
            f"a folder of that name is ./{address}"
        )
    return address


def checked_options(options: Mapping[str, str]) -> dict[str, str]:
    """Options by their names in the environment.

    Raises
    ------
    ValueError
        One is no such name, or may be a credential.
    """
    named = {name.upper(): value for name, value in options.items()}
    for name in named:
        if not _NAMES.fullmatch(name):
            raise ValueError(
                f"{name}: options are variables such as AWS_ENDPOINT_URL, AWS_REGION, "
                "AWS_ALLOW_HTTP, GOOGLE_... or AZURE_..."
            )
        if _SECRETS.search(name):
            raise ValueError(f"{name} is a credential: it belongs into the environment")
    return named


def masked_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings of Spark as they may be printed: what a name calls a secret is not told.

    Their hash, which `runs` holds, is of what is printed.

    >>> masked_settings({"spark.hadoop.fs.s3a.secret.key": "s", "spark.ui.enabled": "false"})
    {'spark.hadoop.fs.s3a.secret.key': '***', 'spark.ui.enabled': 'false'}
    """
    return {
        name: "***" if _SECRET_SETTINGS.search(name) else value for name, value in settings.items()
    }


Masked = Annotated[dict[str, str], PlainSerializer(masked_settings)]
"""Settings that are printed as of `masked_settings`."""


def use_options(options: Mapping[str, str]) -> None:
    """Have everything in this process, and the JVM that it starts, use the options."""
    os.environ.update(options)


def spark_options(options: Mapping[str, str]) -> dict[str, str]:
    """The same for Spark: its executors, and Hadoop's own reader of S3."""
    settings = {f"spark.executorEnv.{name}": value for name, value in options.items()}
    # Under the one name that delta-rs and Arrow know.
    settings["spark.hadoop.fs.s3.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
    # Hadoop's own list begins with keys in files, and asks the instance last.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        settings["spark.hadoop.fs.s3a.endpoint.region"] = region
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        settings["spark.hadoop.fs.s3a.endpoint"] = endpoint
        settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(
            endpoint.startswith("https")
        ).lower()
        # Servers of one's own rarely give every bucket a name of a host.
        settings["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return settings


def is_s3(address: str) -> bool:
    """Whether an address is of S3, or of what speaks it."""
    return address.startswith("s3://")


@cache
def open_store(address: str) -> ObjectStore:
    """An object store whose paths begin at an address."""
    from obstore.store import from_url

    patience = timedelta(seconds=20)
    return from_url(address, retry_config={"max_retries": 3, "retry_timeout": patience})


def check_store(address: str) -> None:
    """See that an object store can be written, before any work.

    Raises
    ------
    UsageError
        The message says what is wrong.
    StoreUnavailable
        It may be over soon.
    """
    import obstore
    from obstore.exceptions import BaseError

    from jobs.setup.store_errors import said_of_store

    try:
        # Some servers make a bucket that is not there of the first object that is put into it.
        next(iter(obstore.list(open_store(address))), None)
        obstore.put(open_store(address), ".probe", b"")
        obstore.delete(open_store(address), ".probe")
    except (BaseError, OSError, ValueError) as problem:
        raise said_of_store(problem).error(f"cannot write to {address}") from problem
