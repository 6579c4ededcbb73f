"""Percentages as people type them: `10`, `2.5`, `10%`."""

from decimal import Decimal, InvalidOperation

import typer


def parse_percent(text: str) -> float:
    """Read a percentage of at most two decimals. Raises typer's `BadParameter`."""
    try:
        percent = Decimal(text.strip().removesuffix("%").strip())
    except InvalidOperation as error:
        msg = f"{text!r} is no percentage; write 10, 2.5 or 10%"
        raise typer.BadParameter(msg) from error
    if not percent.is_finite() or not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
        msg = f"{text!r} is not between 0 and 100"
        raise typer.BadParameter(msg)
    if percent * 100 % 1:
        msg = f"{text!r} is finer than 0.01 %, the smallest step"
        raise typer.BadParameter(msg)
    return float(percent)
