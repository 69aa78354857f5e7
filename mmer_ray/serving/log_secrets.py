"""Keeps keys, tokens and signatures out of logs, whoever writes them: ours, the server's, a library's."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
ACCESS_LOG = "uvicorn.access"
"""Its formatter takes the arguments of a record apart: they have to stay as many."""

# Repetitions are bounded where one may begin inside another: texts come from strangers, and time must stay linear.
_HEADERS = "(?:proxy-)?authorization|x-api-key|api[-_]?key|cookie|set-cookie|x-amz-[a-z-]{1,32}"
_PARAMETERS = "access_token|token|secret|password|passwd|signature|sig|x-amz-[a-z-]{1,32}|awsaccesskeyid"
_RULES = (
    # A header as it is sent, as a dict shows it, and as a list of byte pairs shows it; with or without the scheme.
    re.compile(
        rf"(?P<kept>\b(?:{_HEADERS})\b['\"]?\s*[:=,]\s*(?:b?['\"])?(?:(?:bearer|basic|digest)\s+)?)[^\s'\",;)\]}}]+",
        re.I,
    ),
    re.compile(rf"(?P<kept>(?<![\w-])(?:{_PARAMETERS})['\"]?\s*[=:]\s*(?:b?['\"])?)[^\s&'\",;)\]}}]+", re.I),
    re.compile(r"(?P<kept>\bbearer[ .])[A-Za-z0-9._~+/=-]{8,}", re.I),
    # Secrets that can be told by themselves: ours, Hugging Face's, OpenAI's, AWS's.
    re.compile(r"(?P<kept>\b(?:mmer_|hf_|sk-))[A-Za-z0-9_-]{16,}"),
    re.compile(r"(?P<kept>\b(?:AKIA|ASIA))[A-Z0-9]{16}\b"),
    # The user's part of an address.
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"]+@", re.I),
)


def hide(text: str) -> str:
    """`text` without secrets.

    >>> hide("GET /v1/models Authorization: Bearer mmer_x1y2z3")
    'GET /v1/models Authorization: Bearer ***'
    >>> hide("/a?token=abc&limit=3")
    '/a?token=***&limit=3'
    """
    for rule in _RULES:
        text = rule.sub(rf"\g<kept>{HIDDEN}", text)
    return text


class SecretsFilter(logging.Filter):
    """Changes every record that passes. For handlers: a logger's filters do not see records of its children."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide what the record says, its arguments, and the text of its exception. Lets all records pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_hidden, record.args))
        elif isinstance(record.args, Mapping):
            record.args = {name: _hidden(value) for name, value in record.args.items()}
        if record.name == ACCESS_LOG:
            return True
        message = record.getMessage()
        if (without := hide(message)) != message:
            record.msg, record.args = without, ()
        if record.exc_info and not record.exc_text:
            # Formatters take this text where it is there.
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = hide(record.exc_text)
        return True


def hide_secrets() -> None:
    """Put the filter on every handler that there is. To be called once logging is set up; again does no harm."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for handler in [*(handler for logger in loggers for handler in logger.handlers), logging.lastResort]:
        if handler is not None and not any(isinstance(one, SecretsFilter) for one in handler.filters):
            handler.addFilter(SecretsFilter())


def _hidden(value: Any) -> Any:
    """A value of a record: numbers stay numbers, for formats such as `%d`."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    without = hide(text)
    return value if without == text else without
