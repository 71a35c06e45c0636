"""Text that came from outside, such as titles and queries, made fit to be shown.

A terminal obeys control characters, and every reader the marks that turn the direction of writing:
a title could move the cursor, forge a line of a log, or show another word than it holds.
"""

from __future__ import annotations

import re
import unicodedata

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ACTING = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escaped(text: str) -> str:
    r"""Text in which nothing acts: control characters and turning marks are shown as escapes.

    Examples
    --------
    >>> escaped("red \x1b[31mshoe\nbag")
    'red \\x1b[31mshoe\\x0abag'
    >>> escaped("naïve 靴")
    'naïve 靴'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(one) if _acts(one) else one for one in text)


def shown(text: str) -> str:
    r"""Lines of text in each of which nothing acts.

    Examples
    --------
    >>> shown("two\nlines\x07")
    'two\nlines\\x07'
    """
    return "\n".join(escaped(line) for line in text.split("\n"))


def finalized(value: object) -> object:
    """What a page shows of a value: texts by `shown`; what is markup already stays."""
    return shown(value) if type(value) is str else value


def one_line(text: str) -> str:
    r"""Several lines as one, without their colours; what else acts is escaped.

    Examples
    --------
    >>> one_line("cannot write\n  \x1b[31m↳\x1b[0m no space")
    'cannot write ↳ no space'
    """
    return escaped(" ".join(_COLOURS.sub("", text).split()))


def _acts(one: str) -> bool:
    return unicodedata.category(one) in _ACTING or one in _TURNING


def _escape(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
