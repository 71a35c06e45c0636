"""What a SELECT may not do: read what it was not given, or run code.

A source may come from somebody else. Its SELECT is given the raw views of its landing files; Spark
would let it read any file of this machine, call any method of Java, and pipe rows through a shell.
"""

from __future__ import annotations

import re

from jobs.setup.exits import UsageError

# Both kinds of quotes make a text in Spark; names are in backticks.
_UNREAD = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FORMATS = "parquet|csv|json|text|orc|delta|avro|xml|jdbc|libsvm|image|binaryfile"
_REFUSED = (
    (re.compile(r"\b(?:try_)?(?:reflect|java_method)\b\s*`?\s*\(", re.IGNORECASE),
     "calls a method of Java"),
    (re.compile(r"\busing\s+''", re.IGNORECASE), "runs a program"),
    (re.compile(rf"(?<![\w.])`?(?:{_FORMATS})`?\s*\.\s*`", re.IGNORECASE),
     "reads files by their path"),
    (re.compile(r"\b(?:from|join)\s+[\w.`]+\s*\.\s*`[^`]*[/:\\][^`]*`", re.IGNORECASE),
     "reads files by their path"),
    (re.compile(r"`?\w+`?\s*\.\s*`?\w+`?\s*\.\s*`[^`]*[/:\\][^`]*`"),
     "reads files by their path"),
)  # fmt: skip


def refuse_reaching_out(select: str, where: str) -> None:
    """Refuse a SELECT that reads more than its views, or runs code.

    Parameters
    ----------
    where : str
        What it is called in the message.

    Raises
    ------
    UsageError
    """
    plain = _UNREAD.sub(lambda found: "''" if found[0][0] in "'\"" else " ", select).strip()
    if not re.match(r"(?:\(\s*)*(?:select|with|from|values)\b", plain, re.IGNORECASE):
        begins = plain.split(maxsplit=1)[0][:20] if plain else "nothing"
        raise UsageError(f"{where} is no SELECT but begins with {begins}: a source may do no more")
    for pattern, what in _REFUSED:
        if found := pattern.search(plain):
            line = plain[: found.start()].count("\n") + 1
            raise UsageError(
                f"{where}, line {line}: it {what}: a SELECT may read its views and nothing else; "
                "declare what it needs as a view in source.toml"
            )
