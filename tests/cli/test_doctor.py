"""`cas doctor`: what works, what does not, what to do about it, and the GRANTs of a role that reads."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cas.store.interface import ObjectInfo
from cas.store.local import LocalStore
from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute
from tests.servers.postgres import Databases


def _observed(place: Place, *arguments: str, **more: str) -> dict[tuple[str, str], dict[str, Any]]:
    ran = place("doctor", "--json", *arguments, **more)
    observations = ran.json["observations"]
    is_healthy = not any(one["health"] == "fail" for one in observations)
    assert ran.code == (ExitCode.OK if is_healthy else ExitCode.NOT_HEALTHY)
    return {(one["group"], one["name"]): one for one in observations}


def test_everything_that_works_is_said_to_work(standing: Place) -> None:
    seen = _observed(standing)
    looked = {
        *(
            ("program", name)
            for name in ("cas", "dependencies", "embedded PostgreSQL", "pg_dump", "settings")
        ),
        *(("machine", name) for name in ("CAS_HOME", "temporary files", "time zones", "locale")),
        *(("store", name) for name in ("reachable", "repository", "create-only", "reads", "lists", "room")),
        *(("catalog", name) for name in ("reachable", "attached", "clock", "newest version")),
        *(("source", name) for name in ("reachable", "encoding", "rights", "pg_dump", "clock")),
    }
    assert looked <= seen.keys()
    assert not [one for one in seen.values() if one["health"] == "fail"]
    assert "version 1" in seen["catalog", "newest version"]["found"]
    told = standing("doctor")
    assert told.code == 0
    assert "Everything works" in told.out


def test_it_leaves_nothing_in_the_store(standing: Place) -> None:
    before = sorted(standing.store.rglob("*"))
    assert standing("doctor").code == 0
    assert sorted(standing.store.rglob("*")) == before


def test_the_grants_make_a_role_that_can_take_versions(cas: Place, shop: str, cluster_role: str) -> None:
    diagnosis = cas("doctor", "--json").json
    statements = [line.replace("cas_reader", cluster_role) for line in diagnosis["grants"]]
    assert statements[0].startswith("CREATE ROLE")
    execute(shop, *statements[1:])
    reader = shop.replace("postgres@", f"{cluster_role}@")
    assert cas("snapshot", "--source", reader).code == 0
    seen = _observed(cas, "--source", reader)
    assert seen["source", "rights"]["health"] == "ok"
    assert ("source", "role") not in seen, "it is no superuser"
    execute(shop, f"REVOKE pg_read_all_data FROM {cluster_role}")


def test_each_missing_right_is_named_with_its_grant(cas: Place, shop: str, cluster_role: str) -> None:
    execute(shop, f"GRANT SELECT ON suppliers, products, prices TO {cluster_role}")
    seen = _observed(cas, "--source", shop.replace("postgres@", f"{cluster_role}@"))
    events = seen["source", "public.events"]
    assert events["health"] == "fail"
    assert "GRANT SELECT ON TABLE" in events["advice"]
    execute(shop, events["advice"])
    seen = _observed(cas, "--source", shop.replace("postgres@", f"{cluster_role}@"))
    assert ("source", "public.events") not in seen


def test_a_server_that_does_not_answer_is_a_finding_and_the_rest_is_looked_at(cas: Place) -> None:
    seen = _observed(cas, CAS_SOURCE="postgresql://x:hunter2@127.0.0.1:1/shop")
    assert seen["source", "reachable"]["health"] == "fail"
    assert "hunter2" not in str(seen)
    assert seen["catalog", "attached"]["health"] == "ok"


def test_without_a_source_it_says_how_to_name_one(cas: Place) -> None:
    seen = _observed(cas, CAS_SOURCE="")
    assert seen["source", "database"]["health"] == "warn"
    assert "CAS_SOURCE" in seen["source", "database"]["advice"]


def test_before_init_it_says_what_to_do(bare: Place, database: Databases) -> None:
    bare.store.mkdir()
    seen = _observed(bare, CAS_STORE=str(bare.store), CAS_CATALOG=database())
    assert seen["store", "repository"]["health"] == "fail"
    assert "cas init" in seen["store", "repository"]["advice"]
    assert _observed(bare)["store", "reachable"]["advice"].startswith("Give --store")


def test_a_wrong_setting_is_an_error_of_its_own(cas: Place) -> None:
    ran = cas("doctor", CAS_COMPRESSION="0")
    assert ran.code == ExitCode.INVALID
    assert "CAS_COMPRESSION" in ran.error


def test_a_store_that_overwrites_is_found_out(cas: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put = LocalStore.put

    def overwriting(
        store: LocalStore, key: str, data: bytes | memoryview, *, create_only: bool = False
    ) -> None:
        del create_only
        put(store, key, data)

    monkeypatch.setattr(LocalStore, "put", overwriting)
    seen = _observed(cas)
    assert seen["store", "create-only"]["health"] == "fail"
    assert seen["store", "reads"]["health"] == "fail", "the second writer's bytes came back"


def test_a_store_that_lists_late_is_found_out(cas: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = LocalStore.objects

    def late(store: LocalStore, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        return (info for info in objects(store, prefix, after=after) if "probe" not in info.key)

    monkeypatch.setattr(LocalStore, "objects", late)
    assert _observed(cas)["store", "lists"]["health"] == "fail"


def test_a_full_disk_is_found_out(cas: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "free_bytes", lambda _: 1000)
    assert _observed(cas)["store", "room"]["health"] == "fail"


def test_a_pg_dump_that_is_too_old_is_found_out(cas: Place, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.4'\n")
    program.chmod(0o755)
    found = _observed(cas, CAS_PG_DUMP=str(program))["source", "pg_dump"]
    assert found["health"] == "fail"
    assert "13" in found["found"]
    assert _observed(cas, CAS_PG_DUMP=str(tmp_path / "nothing"))["program", "pg_dump"]["health"] == "fail"


def test_a_catalog_that_is_behind_the_store_is_found_out(cas: Place) -> None:
    assert cas("snapshot").code == 0
    os.link(cas.store / "versions" / "0000000001", cas.store / "versions" / "0000000005")
    found = _observed(cas)["catalog", "versions"]
    assert found["health"] == "fail"
    assert "cas catalog rebuild" in found["advice"]


def test_a_readable_password_in_a_file_is_a_warning(cas: Place) -> None:
    file = cas.directory / "cas.toml"
    file.write_text('source = "postgresql://reader:hunter2@127.0.0.1:1/shop"\n')
    file.chmod(0o644)
    ran = cas("doctor", "--json")
    warned = [
        one for one in ran.json["observations"] if one["name"] == "settings" and one["health"] == "warn"
    ]
    assert warned
    assert "chmod 600" in warned[0]["advice"]
    assert "hunter2" not in ran.out
