"""Says which region a point lies in: `python -m geo LON LAT`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from geo.boundaries import BoundariesError
from geo.index import RegionIndex


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _degrees(limit: int) -> Callable[[str], float]:
    def degrees(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= limit:
            msg = f"{text.strip()!r} is not a number of degrees within ±{limit}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return degrees


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m geo",
        description="Print the code and name of the region that a point lies in.",
        epilog=(
            "A point in no region prints a line that begins with `outside`, and is no failure. "
            "Exit status: 0, or 2 for arguments or boundaries that cannot be used."
        ),
    )
    parser.add_argument("longitude", type=_degrees(180), help="degrees WGS 84, east is positive")
    parser.add_argument("latitude", type=_degrees(90), help="degrees WGS 84, north is positive")
    parser.add_argument(
        "--said_in_france",
        action="store_true",
        help="the message says that its country is France: allow a place just across the border",
    )
    parser.add_argument("--boundaries", metavar="FILE", help="GeoJSON of other regions")
    for name, metavar, text in (
        ("code_property", "NAME", "property with their code (default: code)"),
        ("name_property", "NAME", "property with their name (default: the code)"),
        ("neighbours", "FILE", "GeoJSON of places that the tolerance must not draw in"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=text, default=argparse.SUPPRESS)
    parser.add_argument(
        "--tolerance",
        metavar="DEGREES",
        type=_degrees(10),
        default=argparse.SUPPRESS,
        help="points in no polygon go to the nearest region within this distance (default: 0)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line; by default that of the process.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    # argparse takes -1e-3 and -inf for options, but nothing that holds a space.
    words = [f" {word}" if word.startswith("-") and _is_number(word) else word for word in words]
    parser = _parser()
    options = parser.parse_args(words)
    names = ("code_property", "name_property", "neighbours", "tolerance")
    custom = {name: getattr(options, name) for name in names if name in options}
    if custom and options.boundaries is None:
        parser.error(f"--{next(iter(custom))} is of use only with --boundaries")
    try:
        index = (
            RegionIndex.default()
            if options.boundaries is None
            else RegionIndex.from_geojson(options.boundaries, **custom)
        )
    except BoundariesError as error:
        parser.error(str(error))
    (number,) = index.locate([options.longitude], [options.latitude], [options.said_in_france])
    if number < 0:
        place = "France" if options.boundaries is None else options.boundaries
        print(f"outside: no region of {place}")
    elif index.codes[number] == index.names[number]:
        print(index.codes[number])
    else:
        print(index.codes[number], index.names[number])
    return 0


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
