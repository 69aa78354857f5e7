"""The text fields of a form, each asked for by name; what nobody asked for is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Sequence

from mmer_ray.options import LANGUAGE_CODE
from mmer_ray.records import Expected
from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.interface import KnownSpeaker

MAX_KNOWN_SPEAKERS = 4
"""As many as OpenAI's API takes."""
MAX_NAME_CHARS = 64
MAX_SHOWN_CHARS = 80
"""Of a field's name or value in a message: the client knows the rest."""
_DATA_URL = re.compile(r"data:[a-z0-9.+/-]*(;[a-z0-9.+-]+=[a-z0-9.+-]*)*;base64,", re.IGNORECASE)


class Fields:
    """The fields of one form. A list's name may end in `[]`, as OpenAI's clients send it."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        """Take (name, value) pairs in the order of the form."""
        self._values: defaultdict[str, list[str]] = defaultdict(list)
        self._asked: set[str] = set()
        for name, value in fields:
            self._values[name].append(value)

    def __contains__(self, name: str) -> bool:
        """Whether the form has a value under a name, or under it and `[]`."""
        return any(value for sent in (name, f"{name}[]") for value in self._values.get(sent, ()))

    def one(self, name: str) -> str | None:
        """A field that may be sent once. None where it is left out or empty. Raises `ApiError` (400)."""
        self._asked.add(name)
        values = self._values.get(name, [])
        if len(values) > 1:
            raise invalid(name, f"sent {len(values)} times; send it once")
        return values[0] or None if values else None

    def needed(self, name: str) -> str:
        """As `one`, of a field that must be there."""
        value = self.one(name)
        if value is None:
            raise ApiError(400, "missing_field", f"{name}: this field is required", name)
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """A list, in the order of the form."""
        self._asked.update((name, f"{name}[]"))
        return (*self._values.get(name, ()), *self._values.get(f"{name}[]", ()))

    def choice(self, name: str, valid: Sequence[str], default: str) -> str:
        """A field with few values. Raises `ApiError` (400) with the valid ones."""
        value = self.one(name)
        if value is not None and value not in valid:
            raise invalid(name, f"{shown(value)} is not one of {', '.join(valid)}")
        return default if value is None else value

    def flag(self, name: str) -> bool:
        """`true` or `false`; false where it is left out."""
        return self.choice(name, ("true", "false", "True", "False", "1", "0"), "false") in ("true", "True", "1")

    def refuse_others(self) -> None:
        """Raise `ApiError` (400) with the name of the first field that was not asked for."""
        for name in self._values:
            if name not in self._asked:
                raise ApiError(
                    400, "unknown_field", f"{name[:MAX_SHOWN_CHARS]}: this field is not known", name[:MAX_SHOWN_CHARS]
                )


def shown(value: str) -> str:
    """A client's value inside a message."""
    return repr(value if len(value) <= MAX_SHOWN_CHARS else f"{value[:MAX_SHOWN_CHARS]}...")


def called_as_sent(error: ApiError, languages: str = "languages[]") -> ApiError:
    """A refusal by the models, with the field called as the client called it."""
    lists = ("keywords", "known_speaker_names", "known_speaker_references")
    called = {"languages": languages, **{name: f"{name}[]" for name in lists}}
    if error.param not in called:
        return error
    param = called[error.param]
    return ApiError(error.status, error.code, param + error.message.removeprefix(error.param), param, error.headers)


def expected_of(fields: Fields) -> Expected:
    """What the caller knows of the words: `languages[]`, `keywords[]` and `prompt`. Raises `ApiError` (400)."""
    languages = tuple(language_code("languages[]", value) for value in fields.many("languages"))
    keywords = tuple(value.strip() for value in fields.many("keywords"))
    if not all(keywords):
        raise invalid("keywords[]", "a keyword is empty; leave it out")
    return Expected(languages, keywords, fields.one("prompt") or "")


def language_code(param: str, value: str) -> str:
    """A language's code, checked for its form alone: which ones are read is the model's matter."""
    if not re.fullmatch(LANGUAGE_CODE, value):
        raise invalid(param, f"{shown(value)} is no ISO 639-1 code; send for example en")
    return value


def known_speakers_of(fields: Fields) -> tuple[KnownSpeaker, ...]:
    """`known_speaker_names[]` with `known_speaker_references[]`, data URLs in the same order.

    Raises `ApiError` (400).
    """
    names, urls = fields.many("known_speaker_names"), fields.many("known_speaker_references")
    if len(names) > MAX_KNOWN_SPEAKERS:
        raise invalid("known_speaker_names[]", f"{len(names)} speakers; at most {MAX_KNOWN_SPEAKERS} are told apart")
    if len(names) != len(urls):
        raise invalid(
            "known_speaker_references[]",
            f"{len(urls)} sounds for {len(names)} known_speaker_names[]; send one sound for each name",
        )
    if len(set(names)) != len(names):
        raise invalid("known_speaker_names[]", "a name is sent twice; give each speaker a name of its own")
    return tuple(KnownSpeaker(_speaker_name(name), _sound(url)) for name, url in zip(names, urls, strict=True))


def _speaker_name(name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise invalid(
            "known_speaker_names[]", f"{shown(name)} is no name of 1 to {MAX_NAME_CHARS} printable characters"
        )
    return name


def _sound(url: str) -> bytes:
    param, head = "known_speaker_references[]", _DATA_URL.match(url[:256])
    if head is None:
        raise invalid(param, f"{shown(url[:40])} is no data URL; send data:audio/wav;base64,... of 2 to 10 s of speech")
    try:
        sound = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid(param, "what follows base64, is not base64") from exc
    if not sound:
        raise invalid(param, "the data URL holds no bytes; send 2 to 10 s of speech")
    return sound
