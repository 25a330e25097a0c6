"""The command line: `python -m benchmarks.streaming SECTION …`."""

import sys

from benchmarks.streaming.command import main

if __name__ == "__main__":
    sys.exit(main())
