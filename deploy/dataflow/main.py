"""What the launcher of the Flex Template runs; all else is in the installed package."""

from pipelines.dataflow import main

if __name__ == "__main__":
    raise SystemExit(main())
