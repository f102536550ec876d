"""What a restore into an empty database would do, and what stands in its way: seen before it begins.

It reads the version's document and schema and asks the target; it writes nothing.
"""

import re
from dataclasses import dataclass

from cas.contents import open_contents, schema_of
from cas.engine.repository import Repository
from cas.format.document import SourceFacts
from cas.records.source import SourceIdentity
from cas.records.target import Finding, Target
from cas.restore_scope import RestoredEntity, RestoreRequest, chosen_entries, files_left_out, schema_parts


@dataclass(frozen=True, slots=True)
class RestorePreview:
    """`target_server` is the target as it is now, `source` the platform as it was. `findings` tells
    what differs, those that block first."""

    version: int
    source: SourceFacts
    target: str
    target_server: SourceIdentity
    entities: tuple[RestoredEntity, ...]
    records: int
    payload_bytes: int
    findings: tuple[Finding, ...]

    @property
    def is_blocked(self) -> bool:
        """Whether the restore is certain to fail, or to restore something else."""
        return any(finding.blocks for finding in self.findings)


def preview_restore(
    repository: Repository, number: int, target: Target, request: RestoreRequest | None = None
) -> RestorePreview:
    """Compare version and target. NotFound, InvalidInput for a pattern that matches nothing, Conflict
    for a target that is not empty."""
    wanted = request or RestoreRequest()
    contents = open_contents(repository, number)
    entries = chosen_entries(contents, wanted)
    items = schema_of(contents) if wanted.with_schema else ()
    if items:
        target.require_empty()
    source = contents.document.source
    found = target.findings(
        identity_of_facts(source),
        items,
        schema_parts(wanted, entries),
        [entry.entity for entry in entries],
        source.roles,
    )
    with_data = [entry for entry in entries if entry.root is not None and wanted.with_data]
    return RestorePreview(
        version=number,
        source=source,
        target=target.url,
        target_server=target.identity(),
        entities=tuple(RestoredEntity(e.entity.label, e.records, e.payload_bytes) for e in with_data),
        records=sum(entry.records for entry in with_data),
        payload_bytes=sum(entry.payload_bytes for entry in with_data),
        findings=(*found, *files_left_out(contents)),
    )


def identity_of_facts(facts: SourceFacts) -> SourceIdentity:
    """What a document tells of its platform, as the identity of a server. Its database's OID is not kept."""
    return SourceIdentity(
        database=facts.database,
        server_version=facts.server_version,
        server_version_num=version_number(facts.server_version),
        system_identifier=facts.system_identifier,
        database_oid=0,
        encoding=facts.encoding,
        locale=facts.locale,
        extensions=facts.extensions,
    )


def version_number(text: str) -> int:
    """As server_version_num has it: `15.18 (Debian ...)` -> 150018, `18beta1` -> 180000; 0 for no version."""
    found = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?", text)
    return int(found[1]) * 10000 + int(found[2] or 0) if found else 0
