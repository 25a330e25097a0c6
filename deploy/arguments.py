"""What the calculators of `deploy` read from their command lines, and how they say numbers."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

__all__ = ["Parser", "amount", "rounded"]


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with code 2."""
        self.exit(2, f"error: {message}\n")


def amount(text: str) -> float:
    """A number above 0, with or without separators of thousands."""
    try:
        number = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = math.nan
    if not (0 < number < 1e18):
        msg = f"{text!r} is no number above 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def rounded(number: float) -> str:
    """Two digits that count: more would pretend to know."""
    if number <= 0:
        return "0"
    places = 1 - math.floor(math.log10(number))
    return f"{round(number, places):,.{max(0, min(places, 3))}f}"
