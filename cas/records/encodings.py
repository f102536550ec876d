"""PostgreSQL's server encodings as Python codecs, for showing texts to people and taking theirs.

Only for display and for keys typed by people: stored bytes are never recoded.
"""

from cas.errors import InvalidInput

_CODECS = {
    "UTF8": "utf-8",
    "SQL_ASCII": "ascii",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "EUC_JP": "euc_jp",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_KR": "euc_kr",
    "EUC_CN": "gb2312",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
}
"""The encodings that Python knows too (PostgreSQL documentation, "Character Set Support")."""


def decode_text(text: bytes, encoding: str) -> str:
    """For people. Bytes that are not valid in the encoding become surrogates U+DC80..U+DCFF."""
    return text.decode(_CODECS.get(encoding, "ascii"), "surrogateescape")


def encode_text(text: str, encoding: str) -> bytes:
    """The server's bytes of a text; the inverse of `decode_text`. InvalidInput where there are none."""
    try:
        return text.encode(_CODECS.get(encoding, "ascii"), "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"the database's encoding {encoding} has no such character: {text[:40]}"
        ) from error
