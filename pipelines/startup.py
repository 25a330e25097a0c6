"""A quick start: importing Beam without the cloud's client libraries where no cloud is used.

`import apache_beam` imports every client library that is installed beside it, which more than
doubles its time. Beam works without them (they are optional), so they are hidden from it while it
is imported. See docs/decisions/0003-quick-start.md.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence

__all__ = ["LOCAL_RUNNERS", "import_beam", "needs_cloud"]

CLOUD_MODULES = ("apitools", "google.api_core", "google.auth", "google.cloud", "pymongo")
LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner", "BundleBasedDirectRunner", "PrismRunner")


def needs_cloud(arguments: Sequence[str]) -> bool:
    """Whether the command line names anything beyond this machine's files and runners."""
    runners = [
        word.partition("=")[2] or after
        for word, after in itertools.pairwise([*arguments, ""])
        if word.partition("=")[0] == "--runner"
    ]
    remote = any(runner not in LOCAL_RUNNERS for runner in runners)
    return remote or any("://" in word for word in arguments)


def import_beam(*, cloud: bool) -> None:
    """Imports Beam, with the cloud's client libraries or without."""
    if "apache_beam" in sys.modules:
        return
    with contextlib.nullcontext() if cloud else _hidden(CLOUD_MODULES):
        import apache_beam  # noqa: PLC0415
        import apache_beam.runners.portability.fn_api_runner  # noqa: F401, PLC0415


@contextlib.contextmanager
def _hidden(modules: Sequence[str]) -> Iterator[None]:
    """Makes importing the modules fail for a while, and silences what Beam says about it."""
    hidden = [name for name in modules if name not in sys.modules]
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        for name in hidden:
            del sys.modules[name]
