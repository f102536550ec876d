"""What a person says of scope and mode of a restore into the running platform, as a request.

The language of `--key` and `--subtree`: `TABLE:KEY,KEY`, and a key of several columns is `PART/PART`, in the
key's order. A backslash before a comma, a slash, a colon or a backslash makes it an ordinary character;
before anything else it is a mistake, as an empty part is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from cas.catalog.restore_model import RestoreMode
from cas.errors import InvalidInput
from cas.live.request import LiveRequest, MissingParents, Prefer
from cli import flags

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ESCAPE = "\\"
SPECIAL = ":,/\\"

Key = tuple[str, ...]

_BOTH = ("table", "exclude", "allow_incomplete")
"""Options that a restore into an empty database has too."""


@dataclass(frozen=True, slots=True)
class LiveScope:
    """The options of `cas plan` and `cas restore`, as they were given."""

    table: flags.Tables = None
    exclude: flags.Exclude = None
    allow_incomplete: flags.AllowIncomplete = False
    key: flags.Keys = None
    where: flags.Where = None
    columns: flags.Columns = None
    subtree: flags.Subtrees = None
    with_parents: flags.WithParents = False
    with_children: flags.WithChildren = False
    mode: flags.Mode = None
    base: flags.Base = None
    prefer: flags.Preferring = None
    missing_parents: flags.Missing = None
    map: flags.Renamed = None
    accept_drift: flags.AcceptDrift = False
    no_safety: flags.NoSafety = False
    scan: flags.CompareAll = False

    def request(self, base: int | None) -> LiveRequest:
        """What they ask for. InvalidInput names the option, and says how it is written."""
        mode = self.mode or RestoreMode.EXACT
        if mode is not RestoreMode.MERGE:
            for option, given in (("--base", self.base), ("--prefer", self.prefer)):
                if given is not None:
                    raise InvalidInput("only a merge has sides", where=option, hint="Add --mode merge")
        return LiveRequest(
            mode=mode,
            tables=tuple(self.table or ()),
            exclude=tuple(self.exclude or ()),
            keys=tuple(_all_keys(self.key or (), "--key")),
            where=tuple(parse_predicate(text) for text in self.where or ()),
            subtrees=tuple(_all_keys(self.subtree or (), "--subtree")),
            columns=tuple(dict.fromkeys(name for text in self.columns or () for name in parse_names(text))),
            with_parents=self.with_parents,
            with_children=self.with_children,
            missing_parents=self.missing_parents or MissingParents.REFUSE,
            prefer=Prefer(self.prefer.value) if self.prefer else Prefer.NOBODY,
            base=base,
            renamed=tuple(_renamed(self.map or ())),
            accept_drift=self.accept_drift,
            allow_incomplete=self.allow_incomplete,
            safety=not self.no_safety,
            scan=self.scan,
        )

    @property
    def given(self) -> tuple[str, ...]:
        """Options that were given, as they are written."""
        return given_options(self)

    @property
    def given_for_live(self) -> tuple[str, ...]:
        """Those of them that only a restore into the running platform has."""
        return given_options(self, but=_BOTH)


def given_options(options: "DataclassInstance", but: Sequence[str] = ()) -> tuple[str, ...]:
    """The options of a dataclass that are not as they are by default."""
    return tuple(
        f"--{field.name.replace('_', '-')}"
        for field in fields(options)
        if field.name not in but and getattr(options, field.name) != field.default
    )


def parse_keys(text: str, option: str) -> tuple[str, tuple[Key, ...]]:
    """`products:42,43` or `order_items:7/3,7/4`: the table, and the texts of each key's columns."""
    _require_text(text, option)
    sides = _split(text, ":", most=1)
    if len(sides) != 2 or not sides[0] or not sides[1]:
        raise InvalidInput(
            f"not a table and its keys: {text[:60]}", where=option, hint=f"Write {option} TABLE:KEY,KEY"
        )
    table, listed = sides
    keys = tuple(tuple(_unescaped(part, option) for part in _split(key, "/")) for key in _split(listed, ","))
    if not all(part for key in keys for part in key):
        raise InvalidInput(
            f"a key, or a part of one, is empty: {text[:60]}",
            where=option,
            hint="Commas separate keys, slashes their parts; an empty text can be named by --where",
        )
    return _unescaped(table, option), keys


def parse_predicate(text: str) -> tuple[str, str]:
    """`products: price > 100`: the table, and the rest as it is."""
    _require_text(text, "--where")
    at = next(_places(text, ":"), None)
    table, predicate = (text[:at].strip(), text[at + 1 :].strip()) if at is not None else ("", "")
    if not table or not predicate:
        raise InvalidInput(
            f"not a table and a condition: {text[:60]}",
            where="--where",
            hint="Write --where 'TABLE: CONDITION', for example --where 'products: price > 100'",
        )
    return _unescaped(table, "--where"), predicate


def parse_names(text: str) -> tuple[str, ...]:
    """`price,name`."""
    _require_text(text, "--columns")
    names = tuple(_unescaped(name, "--columns").strip() for name in _split(text, ","))
    if not all(names):
        raise InvalidInput(
            f"a name is empty: {text[:60]}", where="--columns", hint="Write --columns price,name"
        )
    return names


def _all_keys(texts: Iterable[str], option: str) -> Iterator[tuple[str, Key]]:
    """Each key once."""
    found: dict[tuple[str, Key], None] = {}
    for text in texts:
        table, keys = parse_keys(text, option)
        found |= dict.fromkeys((table, key) for key in keys)
    return iter(found)


def _renamed(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    for text in texts:
        _require_text(text, "--map")
        old, equals, new = text.partition("=")
        if not (old and equals and new) or old in found:
            raise InvalidInput(
                f"not an old and a new name, or given twice: {text[:60]}",
                where="--map",
                hint="Write --map old_table=new_table, or --map table.old_column=table.new_column",
            )
        found[old] = new
    return iter(found.items())


def _require_text(text: str, option: str) -> None:
    """What neither a name nor a key of PostgreSQL can hold is a mistake of whoever made the command line."""
    if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidInput("not a text in this machine's encoding", where=option)


def _places(text: str, separator: str) -> Iterator[int]:
    """Where the separator stands and is not escaped."""
    at = 0
    while at < len(text):
        if text[at] == ESCAPE:
            at += 2
            continue
        if text[at] == separator:
            yield at
        at += 1


def _split(text: str, separator: str, most: int | None = None) -> list[str]:
    """The parts between the first `most` separators, still escaped."""
    places = list(_places(text, separator))[:most]
    begins, ends = [0, *(at + 1 for at in places)], [*places, len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _unescaped(text: str, option: str) -> str:
    signs = []
    at = 0
    while at < len(text):
        if text[at] == ESCAPE:
            at += 1
            if text[at : at + 1] not in SPECIAL or at == len(text):
                raise InvalidInput(
                    f"a backslash with nothing to escape: {text[:60]}",
                    where=option,
                    hint="It stands before a comma, slash, colon or backslash that is meant as it is",
                )
        signs.append(text[at])
        at += 1
    return "".join(signs)
