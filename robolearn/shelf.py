"""Shelves of TOML files: a task or an arm is added by adding a file, and no Python.

A shelf entry is a frozen dataclass; its TOML file is checked against it strictly, and what does not
fit is reported with the file, the line and the key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from robolearn.errors import ConfigurationError, ShelfError

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""``__pydantic_config__`` of a dataclass that is read from TOML: no unknown keys, no NaN."""

_KINDS = {"sim": "task", "real": "profile"}
"""What the shelves hold."""


def shelf_folder(name: str) -> Path:
    """Folder of a shelf: inside the installed package, or at the top of a checkout.

    Args:
        name: ``sim``, ``real`` or ``datasets``.
    """
    package = Path(__file__).resolve().parent
    installed = package / "shelves" / name
    return installed if installed.is_dir() else package.parent / name


def shelf_entries(name: str) -> dict[str, Path]:
    """The TOML files of a shelf by their names, in order.

    Args:
        name: ``sim`` or ``real``.
    """
    return {path.stem: path for path in sorted(shelf_folder(name).glob("*.toml"))}


def find_on_shelf(target: str, wanted: str | None = None) -> Path:
    """Path of the TOML file that ``target`` names.

    Args:
        target: ``SHELF:NAME`` (``sim:lift``, ``real:so101``) or the path of a TOML file.
        wanted: the only shelf that will do, ``sim`` or ``real``; None for both.

    Raises:
        ShelfError: nothing of that name is on the shelf; the message lists what is.
    """
    if target.endswith(".toml"):
        path = Path(target)
        if not path.is_file():
            raise ShelfError(f"there is no {f'{_KINDS[wanted]} ' if wanted else ''}file {path}")
        return path
    shelf, colon, name = target.partition(":")
    shelves = [each for each in _KINDS if wanted in {None, each}]
    entries = shelf_entries(shelf) if shelf in shelves else {}
    if not colon or name not in entries:
        known = ", ".join(
            f"{each}:{entry}"
            for each in ([shelf] if entries else shelves)
            for entry in shelf_entries(each)
        )
        gym = "gym:ID for an environment that is registered with Gymnasium, " * ("sim" in shelves)
        raise ShelfError(
            f"unknown target {target!r}: use one of {known}, {gym}or the path of a .toml file"
        )
    return entries[name]


def table_names(path: Path) -> set[str]:
    """Keys at the top of a TOML file, by which one kind of entry is told from another.

    Raises:
        ShelfError: the file cannot be read, or is no TOML.
    """
    return set(_parse(_read(path), path))


def read_toml[T](path: Path, schema: type[T]) -> T:
    """Read a TOML file into a dataclass, strictly: text is no number, but 20 is as good as 20.0.

    Args:
        path: the file.
        schema: a dataclass whose ``__pydantic_config__`` is `STRICT`.

    Raises:
        ShelfError: the file cannot be read, is no TOML, or does not fit ``schema``.
    """
    text = _read(path)
    content = _parse(text, path)
    try:
        # Strictly, a list is no tuple and a table no dataclass, unless they come from JSON. A date
        # is none of what entries hold, and is taken for its text.
        return TypeAdapter(schema).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        first = _most_telling(error)
        location = _keys_of(first["loc"], content)
        place = f"{path}, line {_line_of(text, location)}: {_key_text(location)}"
        raise ShelfError(f"{place if location else path}: {_reason(first)}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ShelfError(f"{path}: cannot be read: {error}") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise ShelfError(f"{path}: no valid TOML: {error}") from error


def validate[T](value: T, place: tuple[str, ...] = ()) -> T:
    """Check a dataclass that was built in Python against its own annotations.

    Dataclasses in its fields are checked by themselves: as one of several that the field may hold,
    each stays what it is.

    Args:
        value: the dataclass.
        place: where it stands, for the message.

    Raises:
        ConfigurationError: a value is out of its range or of the wrong type; names the key.
    """
    fields = {
        name: validate(inner, (*place, name)) if is_dataclass(inner) else inner
        for name, inner in vars(value).items()
    }
    try:
        return TypeAdapter(type(value)).validate_python(fields)
    except ValidationError as error:
        first = _most_telling(error)
        raise ConfigurationError(
            f"{_key_text((*place, *first['loc']))}: {_reason(first)}"
        ) from error


_UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}


def _most_telling(error: ValidationError) -> Any:
    """A misspelt key is reported as unknown, and then as missing under its right name."""
    errors = error.errors()
    return next((each for each in errors if each["type"] in _UNKNOWN_KEY), errors[0])


def _reason(error: Any) -> str:
    if error["type"] in _UNKNOWN_KEY:
        return "unknown key"
    if error["type"] == "missing":
        return "is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error" and isinstance(error["input"], dict):  # a whole table
        return f"{message[:1].lower()}{message[1:]}"
    return f"{message[:1].lower()}{message[1:]} (it is {error['input']!r})"


def _keys_of(location: Sequence[str | int], content: Any) -> list[str | int]:
    """A location without the names of alternatives, which pydantic puts between the keys."""
    keys: list[str | int] = []
    for place, part in enumerate(location):
        if isinstance(content, dict) and part not in content and place + 1 < len(location):
            continue
        keys.append(part)
        content = _inside(content, part)
    return keys


def _inside(content: Any, part: str | int) -> Any:
    try:
        return content[part]
    except (KeyError, IndexError, TypeError):
        return None


def _key_text(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _line_of(text: str, location: Sequence[str | int]) -> int:
    """Line (from 1) of the deepest part of ``location`` that stands in the text.

    tomllib keeps no positions, so the table headers are followed here.
    """
    table: list[str | int] = []
    counts: dict[str, int] = {}
    best_depth, best_line = 0, 1
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w\-.\"' ]+?)\s*\]\]?\s*(#.*)?$", line)
        key = re.match(r"\s*([\w\-.\"']+)\s*=", line)
        if header:
            name = header[2].replace('"', "").replace("'", "")
            table = [part.strip() for part in name.split(".")]
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table.append(counts[name])
            here = table
        elif key:
            here = [*table, *re.sub(r"[\"']", "", key[1]).split(".")]
        else:
            continue
        depth = len(here)
        if best_depth < depth <= len(location) and list(location[:depth]) == here:
            best_depth, best_line = depth, number
    return best_line
