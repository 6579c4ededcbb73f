"""The text form of protobuf messages, as far as Triton's `config.pbtxt` uses it. Without a schema every field is a list of its values."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from registry_client.errors import InvalidBundle

Value = str | dict[str, list["Value"]]
Message = Mapping[str, list[Value]]

LARGEST: Final = 2**18
"""Bytes."""
_DEEPEST: Final = 16
_TOKEN: Final = re.compile(r"""\s+|\#[^\n]*|(?P<token>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z0-9_.+-]+|[\[\]{}<>:,;])""")
_ESCAPE: Final = re.compile(r"\\(.)")
_CLOSES: Final = {"{": "}", "<": ">"}
_OPENS_LIST: Final = "["
_MARKS: Final = frozenset({"]", "}", ">", ":", ",", ";"})


def parse_pbtxt(text: bytes, name: str) -> Message:
    """Read a message. Raises `InvalidBundle`, naming the file."""
    try:
        return _message(_Tokens(_tokens(text.decode() if len(text) <= LARGEST else "[")), "", 0)
    except (_Unreadable, UnicodeDecodeError) as error:
        raise InvalidBundle(name, "it is no protobuf message in text form") from error


def texts(message: Message, field: str) -> list[str]:
    """The plain values of a field."""
    return [value for value in message.get(field, []) if isinstance(value, str)]


def messages(message: Message, field: str) -> list[Message]:
    """The messages in a field."""
    return [value for value in message.get(field, []) if not isinstance(value, str)]


class _Unreadable(Exception):
    """It does not follow the grammar."""


class _Tokens:
    def __init__(self, tokens: Iterator[str]) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0

    @property
    def ahead(self) -> str:
        return self._tokens[self._at]

    def take(self) -> str:
        token = self.ahead
        if not token:
            raise _Unreadable
        self._at += 1
        return token

    def skip(self, *unwanted: str) -> None:
        while self.ahead in unwanted and self.ahead:
            self._at += 1


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Unreadable
        if found["token"]:
            yield found["token"]
        at = found.end()


def _message(tokens: _Tokens, closes: str, depth: int) -> dict[str, list[Value]]:
    found: dict[str, list[Value]] = {}
    while tokens.ahead != closes:
        name = tokens.take()
        if depth > _DEEPEST or name in _MARKS or name in _CLOSES or name == _OPENS_LIST:
            raise _Unreadable
        tokens.skip(":")
        found.setdefault(name, []).extend(_values(tokens, depth))
        tokens.skip(",", ";")
    if closes:
        tokens.take()
    return found


def _values(tokens: _Tokens, depth: int) -> Iterator[Value]:
    word = tokens.take()
    if word in _CLOSES:
        yield _message(tokens, _CLOSES[word], depth + 1)
    elif word == _OPENS_LIST:
        while tokens.ahead != "]":
            yield from _values(tokens, depth + 1)
            tokens.skip(",")
        tokens.take()
    elif word in _MARKS or depth > _DEEPEST:
        raise _Unreadable
    else:
        yield _ESCAPE.sub(r"\1", word[1:-1]) if word[0] in "\"'" else word
