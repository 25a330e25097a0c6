"""Creates or migrates a dataset: `python -m deploy.bigquery bigquery://PROJECT.DATASET`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from connectors.bigquery.client import open_client
from connectors.bigquery.migrate import migrate, steps
from connectors.bigquery.regions import boundaries, fill_regions, regions_are_filled
from connectors.bigquery.uri import parse
from connectors.output_error import OutputError
from pipelines.console import fail

__all__ = ["main"]

EPILOG = """\
Columns that are missing are added, and descriptions and views are brought up to date. Nothing is
dropped or narrowed; where a column has another type nothing is done at all.

exit codes: 0 where the dataset is as it should be, 1 where it cannot be made so
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 where the dataset is as it should be, 1 where it cannot be made so, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deploy.bigquery",
        description="Create the dataset of results, its tables and views, or migrate them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="URI", help="bigquery://PROJECT.DATASET")
    parser.add_argument(
        "--location", metavar="NAME", help="where a new dataset lies, such as EU or europe-west9"
    )
    parser.add_argument(
        "--regions",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fill the table regions with the boundaries of the regions (default: yes)",
    )
    parser.add_argument("--dry_run", action="store_true", help="only say what would be done")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except OutputError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted; run it again, it goes on where it was", 130)


def _run(options: argparse.Namespace) -> int:
    dataset = parse(options.dataset)
    client = open_client(dataset.project)
    if options.dry_run:
        todo = [step.text for step in steps(client, dataset, options.location)]
    else:
        todo = migrate(client, dataset, options.location)
    if options.regions and not regions_are_filled(client, dataset):
        if not options.dry_run:
            fill_regions(client, dataset)
        todo.append(f"fill the table regions with {len(boundaries())} boundaries")
    for line in todo:
        print(f"would {line}" if options.dry_run else line)
    if not todo:
        print(f"{dataset.uri} is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
