"""What values a template's parameters may have, as POSIX extended regular expressions.

Google checks them before anything is launched. They are looser than the job's own checks, which
have the last word, but for a value that both can know to be wrong.
"""

from __future__ import annotations

from pipelines.option_table import Option

__all__ = ["pattern_of"]

LENGTH = "[0-9]{1,9}[smhd]"
NAME = "[A-Za-z][A-Za-z0-9_.-]*"
QUEUE = "(kafka://[^ /]+/[^ /]+|pubsub://projects/[^ /]+/topics/[^ /]+)"
STREAM = "(kafka://[^ /]+/[^ /]+|pubsub://projects/[^ /]+/subscriptions/[^ /]+)"
DATASET = "bigquery://[a-z0-9.:-]+[.][A-Za-z0-9_]+"
FILE = "gs://[^ /]+/[^ ]+"
WINDOW = f"(hourly|sliding|{LENGTH}(/{LENGTH})?)"
JSON_LIST = r'\[".*"\]'

BY_METAVAR = {"TIME": LENGTH, "NAME": NAME, "FILE": FILE}
BY_NAME = {
    "message_format": "(auto|[a-z_]+(:[A-Za-z0-9_]+)?(,[a-z_]+)*)",
    "dead_letters": QUEUE,
    "kafka_option": "[a-z][a-z0-9.]*=[^ ]+",
    "window": WINDOW,
    "output": f"({DATASET}|{QUEUE})",
}
INPUTS = {True: STREAM, False: FILE}


def pattern_of(option: Option, *, streaming: bool) -> str:
    """The regular expression that the whole of a parameter's value must match.

    Args:
        option: of the main job.
        streaming: whether the template is the one of streams.

    Raises:
        KeyError: nobody has said what the option's values look like.
    """
    if option.choices is not None:
        one = "|".join(option.choices)
    elif option.name == "input":
        one = INPUTS[streaming]
    else:
        one = BY_NAME.get(option.name) or BY_METAVAR[option.metavar or ""]
    if not option.many:
        return f"^({one})$"
    return f"^({one}( +{one})*|{JSON_LIST})$"
