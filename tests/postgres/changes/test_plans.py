"""A plan says of each table how it was compared with the version, how many rows were read, and why."""

from dataclasses import replace

import pytest

from cas.live.plan import EntityPlan, RestorePlan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore
from cas.postgres.capture.installing import install
from cas.postgres.live.platform import PostgresPlatform
from cas.progress import Silent
from tests.postgres.changes.story import Story

ROWS = 2000


def planned(story: Story, version: int = 1, request: LiveRequest | None = None) -> RestorePlan:
    catalog, platform = story.world.catalog, PostgresPlatform(story.url)
    asked = request or LiveRequest()
    with plan_restore(
        story.repository, catalog, catalog.restores, platform, version, asked, Silent()
    ) as prepared:
        return prepared.plan


def read(plan: RestorePlan) -> tuple[str, int, str]:
    (table,) = plan.entities
    return (table.read_by, table.rows_read, table.read_reason)


def counts(table: EntityPlan) -> tuple[int, int, int]:
    return (table.inserts, table.updates, table.deletes)


def damage(story: Story) -> None:
    story.run("UPDATE t SET v = 'damage' WHERE id IN (1, 2)", "DELETE FROM t WHERE id = 9")


def test_rows_written_since_the_version(story: Story) -> None:
    damage(story)
    plan = planned(story)
    assert read(plan) == ("xmin", 2, "written since version 1; all keys, since some records went")
    assert counts(plan.entities[0]) == (1, 2, 0)
    (stored,) = plan.as_json()["entities"]
    assert (stored["read_by"], stored["rows_read"]) == ("xmin", 2), "the catalog keeps it"


def test_keys_that_were_noted_since_the_newest_version(story: Story) -> None:
    install(story.url)
    while story.entity(story.take()).read_by != "capture":
        pass
    newest = story.take().number
    damage(story)
    plan = planned(story, newest)
    assert read(plan) == ("capture", 2, f"written since version {newest}")
    assert counts(plan.entities[0]) == (1, 2, 0)
    older = planned(story, newest - 1)
    assert read(older)[:2] == ("xmin", 2)
    assert "; capture: " in read(older)[2], "why it was no better way"


@pytest.mark.parametrize("name", ["asked for", "no moment", "another database", "another definition"])
def test_why_every_row_was_compared(name: str, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(story)
    catalog, request = story.world.catalog, LiveRequest(scan=name == "asked for")
    base = catalog.base(1)
    assert base is not None
    if name == "no moment":
        monkeypatch.setattr(catalog, "base", lambda _: None)
    if name == "another database":
        other = replace(base, mark=replace(base.mark, database_oid=1))
        monkeypatch.setattr(catalog, "base", lambda _: other)
    if name == "another definition":
        story.run("ALTER TABLE t ALTER v SET NOT NULL")
    reasons = {
        "asked for": "asked for",
        "no moment": "nothing is known of the moment at which version 1 was read",
        "another database": "version 1 is of another database",
        "another definition": "its definition is another one than in version 1",
    }
    plan = planned(story, request=request)
    assert read(plan) == ("scan", ROWS - 1, reasons[name])
    assert counts(plan.entities[0]) == (1, 2, 0)
    assert not [finding for finding in plan.findings if "doubt" in finding.what]


def test_a_reading_that_does_not_fit_is_told_and_does_not_count(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row came without a trace: then every row is compared, and whoever looks at the plan knows it."""
    story.run("INSERT INTO t VALUES (5000, 'x')")
    monkeypatch.setattr("cas.postgres.reading.source.condition_since", lambda *_: b"false")
    plan = planned(story)
    found, rows, why = read(plan)
    assert (found, rows) == ("scan", ROWS + 1)
    assert why.startswith("what was written since version 1 is in doubt: 2,001 records are there")
    assert counts(plan.entities[0]) == (0, 0, 1)
    (note,) = [finding for finding in plan.findings if "doubt" in finding.what]
    assert not note.blocks
    assert note.what.startswith(
        "what was written to public.t since version 1 is in doubt (xmin: 2,001 records"
    )
    assert "--scan" in note.hint
