"""What goes wrong with object stores, in one line, and whether it may be over soon.

delta-rs, obstore, Arrow and Spark each tell the same problem in words of their own; what they have
in common are the store's codes and those of HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.setup.exits import JobError, StoreUnavailable, UsageError
from pipelines.plain import one_line


@dataclass(frozen=True)
class Cause:
    """What a problem comes from.

    Attributes
    ----------
    passes : bool
        Whether trying again later may help.
    """

    text: str
    passes: bool = False

    def error(self, doing: str, advice: str = "") -> JobError:
        """The error to raise.

        Parameters
        ----------
        doing : str
            What failed, such as "cannot write to s3://bucket".
        advice : str
            What to do where it lasts.
        """
        told = f"{doing}: {self.text}"
        if self.passes:
            return StoreUnavailable(told)
        return UsageError(f"{told}; {advice}" if advice else told)


_NO_KEYS = Cause(
    "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
)
_NO_BUCKET = Cause("the bucket is not there: create it, or mend the address")
_NOT_ALLOWED = Cause("these credentials may not do this there")
_BUSY = Cause("the store asks for fewer requests: try again later", passes=True)
_SLOW = Cause("the store did not answer in time: try again later", passes=True)
_BROKEN = Cause("the connection to the store broke: try again later", passes=True)
_SILENT = Cause(
    "the endpoint does not answer: is AWS_ENDPOINT_URL right? Then try again later", passes=True
)
_FAILED = Cause("the store failed by itself: try again later", passes=True)

_CAUSES = (
    # Asking the machine for a role is the last that is tried for credentials.
    (r"169\.254\.169\.254|loading credentials", _NO_KEYS),
    (r"NoSuchBucket|bucket does not exist", _NO_BUCKET),
    (r"InvalidBucketName", Cause("that is no name of a bucket: mend the address")),
    (
        r"URL scheme is not allowed|BadScheme",
        Cause("the endpoint is http://, which AWS_ALLOW_HTTP=true allows"),
    ),
    (r"InvalidAccessKeyId", Cause("the store does not know AWS_ACCESS_KEY_ID")),
    (r"SignatureDoesNotMatch", Cause("AWS_SECRET_ACCESS_KEY is wrong")),
    (r"RequestTimeTooSkewed", Cause("the clock of this machine is wrong, so says the store")),
    (r"ExpiredToken", Cause("the credentials have expired")),
    (r"Access_?Denied|Forbidden|necessary privileges", _NOT_ALLOWED),
    (r"valid authentication credentials|Unauthorized", _NOT_ALLOWED),
    (r"Slow_?Down|Throttl|TooManyRequests|status(?: code)?\W+429", _BUSY),
    (r"Request_?Timeout|timed ?out|Timeout was reached|curlCode: 28", _SLOW),
    (r"status(?: code)?\W+5\d\d|Internal_?(Error|Failure)|Service_?Unavailable", _FAILED),
    (r"Connection ?refused|Couldn't connect|dns error", _SILENT),
    (r"Connection ?reset|connection closed|IncompleteMessage", _BROKEN),
    (r"Broken ?pipe|body from connection|curlCode: 5[256]", _BROKEN),
    (r"error sending request|NETWORK_CONNECTION|Unable to execute HTTP request", _SILENT),
)
"""The first that is found counts: a server's own word before what HTTP says of it."""

_OF_STORES = re.compile(
    r"Generic (S3|GCS|MicrosoftAzure) error|AWS Error|loading credentials|NoSuchBucket"
    r"|necessary privileges|valid authentication credentials|fs\.s3a|awssdk"
)


def store_cause(problem: BaseException) -> Cause | None:
    """What a problem comes from where it comes from an object store; None for any other."""
    return said_of_store(problem) if _OF_STORES.search(_plain(problem)) else None


def said_of_store(problem: BaseException) -> Cause:
    """What a problem with an object store comes from; in the words of a library where unknown."""
    text = _plain(problem)
    for mark, cause in _CAUSES:
        if re.search(mark, text, re.IGNORECASE):
            return cause
    return Cause(text.split(" Debug source:")[0][:300])


def store_error(problem: BaseException, doing: str) -> JobError | None:
    """The error to raise for a problem with an object store; None for any other problem.

    Parameters
    ----------
    doing : str
        What failed, such as "cannot write to s3://bucket".
    """
    cause = store_cause(problem)
    return None if cause is None else cause.error(doing)


def _plain(problem: BaseException) -> str:
    # delta-rs writes an arrow in place of a colon.
    return one_line(str(problem)).replace(" ↳", ":")
