"""The terminal: what is printed on it may hold titles, queries and reasons that anybody wrote."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from pipelines.plain import shown


class PlainConsole(Console):
    """A console that prints control characters and turning marks as escapes, and obeys none."""

    def render_str(self, text: str, **style: Any) -> Text:
        """Text, a cell of a table or a line, as it is laid out."""
        return super().render_str(shown(text), **style)
