"""The Java archives with which Spark reads S3, by group, name, version and SHA-256.

Hadoop's module for exactly the Hadoop that Spark 4.2.0 brings, and of Amazon's library what it
needs: its own bundle has 600 MB, these 13. What Spark has itself is not among them.
"""

from __future__ import annotations

from pathlib import Path

from jobs.setup.jars import Jar


def s3_jars() -> tuple[Jar, ...]:
    """The archives, from the list beside this file."""
    listed = Path(__file__).with_suffix(".txt").read_text(encoding="ascii")
    return tuple(Jar(*line.split()) for line in listed.splitlines())
