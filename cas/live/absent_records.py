"""Records that were named and are nowhere: a typing error must not look as if there were nothing to do."""

from collections import defaultdict
from collections.abc import Sequence

from cas.live.prepared import PreparedPlan
from cas.records.encodings import encode_text
from cas.records.keys import encode_key
from cas.tree.reading import lookup

Named = tuple[str, tuple[str, ...]]
"""The version's label, and the texts of the key."""


def absent_records(prepared: PreparedPlan) -> Sequence[Named]:
    """Those of the request's keys and subtrees that neither the version nor the platform has."""
    contents, request = prepared.contents, prepared.request
    encoding = contents.document.source.encoding
    missing: defaultdict[str, dict[bytes, Named]] = defaultdict(dict)
    for name, texts in (*request.keys, *request.subtrees):
        entry = contents.entry(name)
        key = encode_key(entry.entity, [encode_text(text, encoding) for text in texts])
        if entry.root is None or lookup(contents.reader, entry.root, key) is None:
            missing[entry.entity.label][key] = (entry.entity.label, texts)
    for table in prepared.tables.values():
        wanted = missing.get(table.pair.entry.entity.label)
        for one in table.differences if wanted else ():
            if wanted is not None and one.live is not None:
                wanted.pop(one.key, None)
    return [named for keys in missing.values() for named in keys.values()]
