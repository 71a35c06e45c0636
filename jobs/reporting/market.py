"""A drawn market as a table for people."""

from __future__ import annotations

from rich.table import Table

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.market import Market

_COLUMNS = 4


def market_table(config: SimulationConfig, market: Market) -> Table:
    """Numbers that were drawn: of the logs on top, of the effects on a click below."""
    per_day = config.search_impressions_per_day + config.promoted_impressions_per_day
    logs = {
        "days": f"{config.days}",
        "search a day": f"{config.search_impressions_per_day:,}",
        "promoted a day": f"{config.promoted_impressions_per_day:,}",
        "listings": f"{config.listings:,}",
        "a listing, 37 days": f"{37 * per_day / config.listings:.0f}",
        "users": f"{config.users:,}",
        "a user, 37 days": f"{37 * per_day / config.users:.1f}",
        "queries": f"{config.queries:,}",
        "shops": f"{config.shops:,}",
        "categories": f"{config.categories}",
        "search clicked": f"{config.search_click_rate:.2%}",
        "promoted clicked": f"{config.promoted_click_rate:.2%}",
        "law of effects": market.tail,
    }
    effects = {
        name: f"{value:.3f}" if value else "0"
        for name, value in market
        if name not in ("seed", "tail")
    }
    table = Table(title=f"market {market.seed}", show_header=False, box=None, pad_edge=False)
    for _ in range(_COLUMNS):
        table.add_column(style="dim")
        table.add_column(justify="right")
    for numbers in (logs, effects):
        cells = list(numbers.items())
        for first in range(0, len(cells), _COLUMNS):
            table.add_row(*(text for cell in cells[first : first + _COLUMNS] for text in cell))
        table.add_row()
    return table
