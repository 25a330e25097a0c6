"""A template's parameters as the job's command line."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipelines.option_table import OPTIONS, Option
from pipelines.options import UsageError

__all__ = ["job_arguments"]

NAMED = {f"--{option.name}": option for option in OPTIONS}


def job_arguments(arguments: Sequence[str]) -> list[str]:
    """Arguments as the launcher of Flex Templates gives them, as the main job takes them.

    The launcher writes each parameter as `--name=value`, once. So an option that takes several
    values has them in one text: with spaces between them, or as a JSON list, for values that hold
    spaces. A comma belongs to a value: `kafka://A:9092,B:9092/TOPIC` is one. A parameter that is
    left empty is not given. What is not an option of the job is left as it is.

    Args:
        arguments: without the program's name.

    Raises:
        UsageError: a value is none that the option can have.
    """
    given: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        option = NAMED.get(name)
        if option is None or not equals:
            given.append(argument)
        elif value.strip():
            given += _words(option, value)
    return given


def _words(option: Option, value: str) -> list[str]:
    name = f"--{option.name}"
    if option.flag:
        flag = value.strip().lower()
        if flag not in {"true", "false"}:
            msg = f"{name} is true or false, not {value!r}"
            raise UsageError(msg)
        return [name] if flag == "true" else []
    if not option.many:
        return [f"{name}={value}"]
    return [f"{name}={each}" for each in _several(name, value)]


def _several(name: str, value: str) -> list[str]:
    if not value.lstrip().startswith("["):
        return value.split()
    try:
        found = json.loads(value)
    except ValueError as error:
        msg = f"{name} begins like a JSON list and is none: {error}"
        raise UsageError(msg) from error
    if not all(isinstance(each, str) and each for each in found):
        msg = f"{name} is a JSON list of something else than texts: {value}"
        raise UsageError(msg)
    return [str(each) for each in found]
