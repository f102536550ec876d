"""Triggers and rules: none acts during a restore, and each is as before after it, whatever it came to."""

import pytest

from cas.errors import CasError, Conflict
from tests.postgres.live.scene import OWNER, SUPERUSER, Scene

NOISE = """
CREATE TABLE heard (what text);
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO public.heard VALUES (tg_table_name || ' ' || tg_name); RETURN coalesce(NEW, OLD); END $$;
"""

STATES = {"origin": "", "always": "ENABLE ALWAYS", "replica": "ENABLE REPLICA", "off": "DISABLE"}


def triggers(table: str, called: str = "") -> str:
    """One of each kind in each state."""
    made = []
    for state, word in STATES.items():
        for when, level in (("BEFORE", "ROW"), ("AFTER", "ROW"), ("AFTER", "STATEMENT")):
            name = f'"{called}{state} {when} {level}"'
            made.append(
                f"CREATE TRIGGER {name} {when} INSERT OR UPDATE OR DELETE ON {table}"
                f" FOR EACH {level} EXECUTE FUNCTION hear()"
            )
            if word:
                made.append(f"ALTER TABLE {table} {word} TRIGGER {name}")
    return "; ".join(made)


def rules(table: str) -> str:
    made = []
    for state, word in STATES.items():
        for event in ("INSERT", "UPDATE", "DELETE"):
            made.append(f'CREATE RULE "{state} {event}" AS ON {event} TO {table} DO INSTEAD NOTHING')
            if word:
                made.append(f'ALTER TABLE {table} {word} RULE "{state} {event}"')
    return "; ".join(made)


def edit(scene: Scene) -> None:
    scene.run(
        "UPDATE t SET note = 'new' WHERE id < 3; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (9, 'x')"
    )


@pytest.fixture
def plain(scene: Scene) -> Scene:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT generate_series(1, 5), 'old'"
    )
    return scene


def test_no_trigger_acts(plain: Scene) -> None:
    version = plain.take("t")
    edit(plain)
    plain.run(NOISE + triggers("t"))
    plain.restore(version)
    assert plain.run("SELECT * FROM heard") == []
    assert plain.run("SELECT count(*), count(*) FILTER (WHERE note = 'old') FROM t") == [(5, 5)]


def test_no_constraint_trigger_acts(plain: Scene) -> None:
    """Not at the COMMIT either, to which it is deferred."""
    version = plain.take("t")
    edit(plain)
    plain.run(
        NOISE + "CREATE CONSTRAINT TRIGGER late AFTER INSERT OR DELETE ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION hear()"
    )
    plain.restore(version)
    assert plain.run("SELECT * FROM heard") == []


def test_no_rule_acts(plain: Scene) -> None:
    version = plain.take("t")
    edit(plain)
    plain.run(rules("t"))
    plain.restore(version)
    assert plain.run("SELECT count(*), count(*) FILTER (WHERE note = 'old') FROM t") == [(5, 5)]


def test_no_trigger_of_a_partition_acts(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (3);"
        "CREATE TABLE t_high PARTITION OF t DEFAULT PARTITION BY LIST (id);"
        "CREATE TABLE t_rest PARTITION OF t_high DEFAULT; INSERT INTO t SELECT generate_series(1, 5), 'old'"
    )
    version = scene.take("t")
    edit(scene)
    scene.run(NOISE + triggers("t") + ";" + triggers("t_low", "own "))
    scene.run('ALTER TABLE t_rest DISABLE TRIGGER "always AFTER ROW"')
    scene.restore(version)
    assert scene.run("SELECT * FROM heard") == []
    assert scene.run("SELECT count(*), count(*) FILTER (WHERE note = 'old') FROM t") == [(5, 5)]


def test_states_are_as_before_after_a_failure(plain: Scene) -> None:
    """It fails after everything was silenced: an old record breaks a constraint that is younger."""
    version = plain.take("t")
    edit(plain)
    plain.run(
        NOISE + triggers("t") + ";" + rules("t") + "; ALTER TABLE t ADD CHECK (note <> 'old') NOT VALID"
    )
    with plain.planned(version) as plan:
        assert any("NOT VALID" in note for note in plan.notes)
        plan.refused(Conflict)
    assert plain.run("SELECT * FROM heard") == []


def test_no_event_trigger_acts(scene: Scene) -> None:
    """Those of an owner without further rights cannot be silenced, and its plan says so."""
    scene.run(
        "CREATE TABLE t (id serial PRIMARY KEY, note text); INSERT INTO t (note) VALUES ('old');"
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE UNIQUE INDEX ON m (id)"
    )
    version = scene.take()
    scene.run("UPDATE t SET note = 'new'; INSERT INTO t (note) VALUES ('more')")
    states = STATES if scene.actor == SUPERUSER else {"origin": "", "off": "DISABLE"}
    scene.as_admin(
        "CREATE TABLE heard (what text); GRANT ALL ON heard TO public;"
        "CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS $$"
        " BEGIN INSERT INTO public.heard VALUES (tg_event || ' ' || tg_tag); END $$"
    )
    for state, word in states.items():
        for event in ("ddl_command_start", "ddl_command_end", "sql_drop"):
            scene.as_admin(f'CREATE EVENT TRIGGER "{state} {event}" ON {event} EXECUTE FUNCTION hear()')
            if word:
                scene.as_admin(f'ALTER EVENT TRIGGER "{state} {event}" {word}')
    with scene.planned(version) as plan:
        if scene.actor == OWNER:
            assert sum("event trigger" in note for note in plan.notes) == 3
        else:
            assert not any("event trigger" in note for note in plan.notes)
        scene.as_admin("TRUNCATE heard")
        plan.execute()
    if scene.actor != OWNER:
        assert scene.as_admin("SELECT * FROM heard") == []
    assert scene.run("SELECT * FROM t") == [(1, "old")]
    assert scene.run("SELECT * FROM m") == [(1, "old")]


def test_a_cascade_that_was_enabled_for_replicas_takes_nothing(scene: Scene) -> None:
    """A superuser's ENABLE ALWAYS for the server's own triggers: who may not silence them hears so before."""
    scene.run(
        "CREATE TABLE p (id int PRIMARY KEY, note text);"
        "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 'old'); INSERT INTO c VALUES (1, 1)"
    )
    version = scene.take()
    scene.run("UPDATE p SET note = 'new'")
    scene.as_admin(
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgrelid::regclass, tgname FROM pg_trigger LOOP"
        " EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid, t.tgname); END LOOP; END $$"
    )
    with scene.planned(version) as plan:
        if scene.actor == SUPERUSER:
            plan.execute()
        else:
            assert plan.blocks
            plan.refused(CasError)
    assert scene.run("SELECT * FROM c") == [(1, 1)]


def test_keys_whose_triggers_are_off_stay_so(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE p (id int PRIMARY KEY, note text);"
        " CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p);"
        "INSERT INTO p VALUES (1, 'old'); INSERT INTO c VALUES (1, 1)"
    )
    version = scene.take()
    scene.run("UPDATE p SET note = 'new'")
    scene.as_admin("ALTER TABLE p DISABLE TRIGGER ALL")
    with scene.planned(version) as plan:
        if scene.actor == OWNER:
            assert plan.blocks
            plan.refused(CasError)
        else:
            plan.execute()
