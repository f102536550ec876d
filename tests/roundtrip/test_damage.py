"""Real databases are damaged in every way, mended while they run, and damaged again by an undo."""

from collections.abc import Iterable

import psycopg
import pytest

from cas.catalog.restore_model import RestoreMode
from cas.errors import Conflict
from cas.live.request import LiveRequest
from cli.exit_codes import ExitCode
from tests.cli.running import Place
from tests.roundtrip.conftest import Compare, Load
from tests.roundtrip.damages import DAMAGES, DROPPED, Damage, Dropped, with_children
from tests.roundtrip.damaging import damage, scatter
from tests.roundtrip.loaded import Copy, LoadedOnce
from tests.roundtrip.reading import Counts, changes, read_rows
from tests.roundtrip.test_databases import NAMES, needs_data
from tests.servers.postgres import Cluster, Databases

pytestmark = needs_data

EVERYTHING = LiveRequest()

LARGE = "shopify-taxonomy"
"""Of its damage, 15 sees only the scattered one, and of requests only those of everything: it takes long
enough."""

SMALL = ("northwind", "pagila")


def on_both(some: Iterable[Damage | Dropped]) -> pytest.MarkDecorator:
    """Each on 18, and on 15 unless it is of the large database. What is not of a small one on 18 is for
    whoever has time."""
    pairs = [
        pytest.param(
            server,
            one,
            id=f"{server}-{one.database}, {one.what}",
            marks=() if server == "18" and one.database in SMALL else pytest.mark.thorough,
        )
        for server in ("18", "15")
        for one in some
        if server == "18" or one.database != LARGE
    ]
    return pytest.mark.parametrize(("each_cluster", "one"), pairs, indirect=["each_cluster"])


def mend(copy: Copy, request: LiveRequest) -> tuple[int, Counts]:
    """Restore; the plan said exactly what then changed, table by table. The restore's number, and that."""
    before = copy.everything()
    receipt = copy.restore(request)
    after = copy.everything()
    happened = changes(before, after)
    planned = {one.label: one for one in receipt.restore.entities}
    for label, one in planned.items():
        assert (one.inserted, one.updated, one.deleted) == happened.get(label, (0, 0, 0)), label
        seen = (len(copy.of.rows[label]), len(before[label]), len(after[label]))
        assert (one.version_records, one.live_records, one.after_records) == seen, label
    assert happened.keys() <= planned.keys()
    assert (receipt.inserted, receipt.updated, receipt.deleted) == tuple(
        sum(counts[at] for counts in happened.values()) for at in range(3)
    )
    return receipt.restore.number, happened


def mend_and_undo(copy: Copy, *requests: LiveRequest) -> None:
    """After each it is as it was at the version; after the undo of each, as damaged as before."""
    damaged = copy.dump()
    assert damaged.differences(copy.of.dump)
    for request in requests:
        number, _ = mend(copy, request)
        assert copy.dump().differences(copy.of.dump) == ""
        if request == EVERYTHING:
            assert copy.of.take(copy.url) == copy.of.checksum
        copy.undo(number)
        assert copy.dump().differences(damaged) == ""


@on_both(DAMAGES)
def test_damage_is_mended_and_the_mending_undone(
    one: Damage, each_cluster: Cluster, database: Databases, loaded: LoadedOnce
) -> None:
    copy = loaded(each_cluster, one.database).copy(database)
    damage(copy.url, *one.statements)
    mend_and_undo(copy, EVERYTHING, *(one.narrow if each_cluster.major > 15 else ()))


@pytest.mark.parametrize(
    ("each_cluster", "name"),
    [
        pytest.param(server, name, marks=pytest.mark.thorough if name == LARGE else ())
        for server in ("18", "15")
        for name in NAMES
    ],
    indirect=["each_cluster"],
)
def test_records_that_went_everywhere_come_back(
    name: str, each_cluster: Cluster, database: Databases, loaded: LoadedOnce
) -> None:
    copy = loaded(each_cluster, name).copy(database)
    scatter(copy.url)
    mend_and_undo(copy, EVERYTHING)


@on_both(DROPPED)
def test_a_dropped_column_is_refused_until_it_is_there_again(
    one: Dropped, each_cluster: Cluster, database: Databases, loaded: LoadedOnce
) -> None:
    copy = loaded(each_cluster, one.database).copy(database)
    damage(copy.url, one.drop)
    damaged = copy.dump()
    assert copy.plan(EVERYTHING).is_blocked
    with pytest.raises(Conflict, match=f"{one.column} is gone"):
        copy.restore(EVERYTHING)
    assert copy.dump().differences(damaged) == ""
    copy.run(one.add)
    empty = copy.dump()
    number, _ = mend(copy, EVERYTHING)
    assert copy.everything() == copy.of.rows
    copy.undo(number)
    assert copy.dump().differences(empty) == ""
    mend(copy, LiveRequest(tables=(one.table.rpartition(".")[2],), columns=(one.column,)))
    assert copy.everything() == copy.of.rows
    if one.is_last:
        if one.is_needed:
            copy.run(one.require)
        assert copy.dump().differences(copy.of.dump) == ""
        assert copy.of.take(copy.url) == copy.of.checksum


def test_only_what_is_asked_for_comes_back(
    each_cluster: Cluster, database: Databases, loaded: LoadedOnce
) -> None:
    copy = loaded(each_cluster, "northwind").copy(database)
    damage(
        copy.url,
        "DELETE FROM suppliers WHERE supplier_id IN (2, 5)",
        "UPDATE products SET unit_price = 0, units_in_stock = -1",
    )
    lost = changes(copy.everything(), copy.of.rows)
    line = LiveRequest(keys=(("order_details", ("10248", "11")),), with_parents=True)
    assert mend(copy, line)[1] == {
        "public.order_details": (1, 0, 0),
        "public.products": (1, 0, 0),
        "public.suppliers": (1, 0, 0),
    }
    of_two = mend(copy, with_children("suppliers", "2"))[1]
    assert of_two["public.products"] == (4, 0, 0)
    left = lost["public.products"][0] - 5
    assert mend(copy, LiveRequest(tables=("products",), mode=RestoreMode.MISSING))[1] == {
        "public.products": (left, 0, 0)
    }
    others = lost["public.products"][1]
    prices = LiveRequest(tables=("products",), columns=("unit_price",))
    assert mend(copy, prices)[1] == {"public.products": (0, others, 0)}
    with psycopg.connect(copy.url) as connection:
        query = (
            b"SELECT count(*), count(*) FILTER (WHERE unit_price > 0) FROM products WHERE units_in_stock = -1"
        )
        assert connection.execute(query).fetchall() == [(others, others)]
    mend_and_undo(copy, EVERYTHING)


def test_a_journey_by_the_command_line(
    cas: Place, database: Databases, load: Load, differences: Compare
) -> None:
    """What was lost is looked for, planned, restored, proven by others, and lost again by an undo."""
    whole, live = database(), database()
    load("northwind", whole)
    load("northwind", live)
    cas.environment["CAS_SOURCE"] = live
    assert cas("init").code == 0
    assert cas("snapshot", "--reason", "all is well").code == 0
    damage(live, "DELETE FROM suppliers WHERE supplier_id = 2", "UPDATE customers SET city = upper(city)")
    copy = database()
    assert cas("snapshot", "--reason", "something is wrong").code == 0
    assert cas("restore", "2", "--into", copy, "--yes").code == 0
    lost = changes(read_rows(live), read_rows(whole))

    found = cas("diff", "1", "live", "--json").json["entities"]
    assert {
        one["counts"]["entity"]: one["counts"]["removed"] for one in found if one["counts"]["removed"]
    } == {label: inserts for label, (inserts, _, _) in lost.items() if inserts}
    told = cas("history", "suppliers", "2")
    assert told.code == 0, told
    planned = cas("plan", "1", "--json").json
    counts = {
        one["label"]: (one["inserts"], one["updates"], one["deletes"])
        for one in planned["entities"]
        if one["inserts"] or one["updates"] or one["deletes"]
    }
    assert counts == lost

    part = cas("restore", "1", "--key", "suppliers:2", "--with-children", "--yes", "--json")
    assert part.code == 0, part
    assert changes(read_rows(live), read_rows(whole)) == {"public.customers": lost["public.customers"]}
    stored = cas("restore", "--plan", str(planned["number"]), "--yes")
    assert stored.code == ExitCode.CONFLICT, "the plan speaks of what is there again"
    rest = cas("restore", "1", "--table", "customers", "--columns", "city", "--yes", "--json")
    assert rest.code == 0, rest
    assert differences(whole, live) == ""
    assert cas("snapshot").code == 0
    checksums = {one["number"]: one["checksum"] for one in cas("versions", "--json").json["versions"]}
    assert checksums[1] == checksums[max(checksums)] != checksums[2]

    for done in (rest, part):
        undone = cas("undo", str(done.json["receipt"]["restore"]["number"]), "--yes")
        assert undone.code == 0, undone
    assert differences(copy, live) == ""
    assert cas("check", "--level", "bytes").code == 0
