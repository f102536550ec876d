"""What a person writes: times, spans, sizes, rules, keys, names, places, codes, addresses, settings."""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from cas.auto_save.watch import place_of
from cas.errors import InvalidInput
from cas.postgres.capture.feed_position import feed_position
from cas.postgres.capture.platform_feed import _parts_of
from cas.postgres.capture.statistics_feed import _tables_of
from cas.postgres.connecting import shown_url
from cas.postgres.reading.selecting import _Spoken
from cas.quota import parse_size
from cas.records.files import require_name
from cas.retention.words import parse_rule, rule_text
from cas.sealing.recovery import RecoveryCode
from cas.store import urls
from cas.store.cloud.connection_string import VARIABLE, connection_string
from cas.store.keys import is_key
from cli.commands.snapshot import parse_metadata
from cli.dates import has_zone, parse_span, parse_time
from cli.file_trees import SCHEMES, parse_place
from cli.scope import _renamed, parse_keys, parse_names, parse_predicate
from cli.settings_files import FILE_NAME, read_files
from tests.fuzz.changing import by_words
from tests.fuzz.model import OF_PEOPLE, Target

WORDS = (
    *(b"\0", b"\xff", b" ", b"-", b"+", b":", b",", b"/", b"\\", b"=", b"://", b"..", b"~", b"~nobody"),
    *(b"#", b"@", b"2026-01-31", b"T14:00", b"+02:00", b"Z", b"0001-01-01", b"9999-12-31", b"24:00"),
    *(b"W01-1", b"999999w", b"1d", b"KiB", b"GB", b"last ", b"daily ", b"within ", b" of scheduled "),
    *(b"nightly", b"9" * 4400, b"\xef", "\u0660\u0661\u0968".encode(), "\u0130".encode()),
    *("\u00df".encode(), "\u2028".encode(), "\u00b2".encode(), b"[", b"[[", b"]", b"{", b"}", b'"', b"'"),
    *(b'"""', b"[" * 3000, b"{a=" * 1500, b"a." * 2000, b"inf", b"nan", b"1979-05-27T07:32:00.999999Z"),
    *(b"0x", b"1e999", b"endpoint=", b"https://", b"[::1]", b"%00", b"%ff", b"?", b"Infinity"),
)
SETTINGS = ("store", "files", "s3_ca", "home", "catalog")
SETTING_FILE = (
    b'store = "s3://bucket/prefix"\nfiles = ["uploads=up", "a=b"]\ns3_ca = "ca.pem"\nhome = "~/x"\n'
)


def _text(data: bytes) -> str:
    """As the words of a command line come."""
    return data.decode("utf-8", "surrogateescape")


def _time(data: bytes) -> None:
    assert parse_time(_text(data), "--at").utcoffset() is not None
    has_zone(_text(data))


def _span(data: bytes) -> None:
    assert 0 < parse_span(_text(data), "--every") <= 3650 * 86400


def _keys(data: bytes) -> None:
    table, keys = parse_keys(_text(data), "--key")
    assert table
    assert all(part for key in keys for part in key)


def _predicate(data: bytes) -> None:
    assert all(parse_predicate(_text(data)))


def _names(data: bytes) -> None:
    assert all(parse_names(_text(data)))


def _renaming(data: bytes) -> None:
    assert all(old and new for old, new in _renamed(_text(data).split("\n")))


def _place(data: bytes) -> None:
    name, place = parse_place(_text(data))
    assert require_name(name) == name
    assert place.partition("://")[0] in SCHEMES if isinstance(place, str) else place.is_absolute()


def _size(data: bytes) -> None:
    assert 0 < parse_size(_text(data)) <= 1 << 60


def _rule(data: bytes) -> None:
    rule = parse_rule(_text(data))
    assert parse_rule(rule_text(rule)) == rule


def _code(data: bytes) -> None:
    code = RecoveryCode.read(_text(data))
    assert RecoveryCode.read(code.text()) == code


def _metadata(data: bytes) -> None:
    assert all(parse_metadata(_text(data).split("\n")))


def _prefix(data: bytes) -> None:
    assert not urls.prefix(_text(data), "s3://bucket/prefix").startswith("/")


def _endpoint(data: bytes) -> None:
    endpoint = urls.endpoint(_text(data), "hint")
    assert not endpoint or urlsplit(endpoint).hostname


def _connection_string(data: bytes) -> None:
    found = connection_string({VARIABLE: _text(data)})
    assert found is None or found.account or found.endpoint


def _settings(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, FILE_NAME)
        path.write_bytes(data)
        assert set(read_files([path], SETTINGS)) <= set(SETTINGS)


def _pattern(data: bytes) -> None:
    """A pattern and a name of PostgreSQL's, in two lines."""
    pattern, _, name = _text(data).partition("\n")
    found = _Spoken([("public", name[:63])]).matches(pattern)
    assert found == {("public", name[:63])}


def _url(data: bytes) -> None:
    assert shown_url(_text(data)).startswith("postgresql://")


def _watch(data: bytes) -> None:
    place = place_of(_text(data))
    assert place_of(place.text()) == place


def _feed(data: bytes) -> None:
    """The positions of all feeds, as the catalog has kept them; one of these they may be."""
    refused = 0
    for read in (feed_position, _parts_of, _tables_of):
        try:
            read(_text(data))
        except InvalidInput:
            refused += 1
    if refused == 3:
        raise InvalidInput("no position")


def _object_key(data: bytes) -> None:
    text = data.decode("latin-1")
    if is_key(text):
        assert text.isascii()
        assert not {"", ".", ".."}.intersection(text.split("/"))


_change = by_words(WORDS)
_CODE = RecoveryCode(bytes(range(20))).text().encode()
_CONNECTION = (
    b"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5;EndpointSuffix=core.windows.net"
)
_PLACE = b'{"at": "2026-01-31T12:00:00+00:00", "feed": "[]"}'
_TABLES = b'["x", {"16400": [[1, 2, 3], [4, 5]]}]'
_URL = b"postgresql://user:secret@host:5432/shop?sslmode=require"

TARGETS = (
    Target(
        "time", _time, lambda: [b"2026-03-01", b"2026-03-01T14:00+02:00", b"90m"], OF_PEOPLE, _change, 400
    ),
    Target("span", _span, lambda: [b"60s", b"15m", b"6h"], OF_PEOPLE, _change, 400),
    Target("keys-of-people", _keys, lambda: [b"order_items:7/3,7/4", b"a\\:b:1"], OF_PEOPLE, _change),
    Target("predicate", _predicate, lambda: [b"products: price > 100"], OF_PEOPLE, _change),
    Target("names", _names, lambda: [b"price,name"], OF_PEOPLE, _change),
    Target("renaming", _renaming, lambda: [b"a=b\nc.d=c.e"], OF_PEOPLE, _change),
    Target("place", _place, lambda: [b"uploads=/srv/app/uploads", b"a=~/b"], OF_PEOPLE, _change),
    Target("size", _size, lambda: [b"100GB", b"512 MiB"], OF_PEOPLE, _change),
    Target("rule", _rule, lambda: [b"last 50", b"within 30d of scheduled nightly"], OF_PEOPLE, _change),
    Target("code", _code, lambda: [_CODE], OF_PEOPLE, _change, 400),
    Target("metadata", _metadata, lambda: [b"a=b\nc=d"], OF_PEOPLE, _change),
    Target("prefix", _prefix, lambda: [b"/some/prefix", b"/a%2Fb"], OF_PEOPLE, _change),
    Target("endpoint", _endpoint, lambda: [b"https://host:9000/"], OF_PEOPLE, _change),
    Target("connection-string", _connection_string, lambda: [_CONNECTION], OF_PEOPLE, _change),
    Target("settings-file", _settings, lambda: [SETTING_FILE], OF_PEOPLE, _change),
    Target("pattern", _pattern, lambda: [b"pub*.pro*s\nproducts"], OF_PEOPLE, _change),
    Target("connection-url", _url, lambda: [_URL, b"host=a,b port=1 user=x"], OF_PEOPLE, _change),
    Target("watch-place", _watch, lambda: [_PLACE], OF_PEOPLE, _change),
    Target("feed-position", _feed, lambda: [b'["1:2:", "", {"5": "1:2:"}]', _TABLES], OF_PEOPLE, _change),
    Target("store-key", _object_key, lambda: [b"packs/ab/cd", b"a/../b"], (), _change, 700),
)
