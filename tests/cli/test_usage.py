"""`cas stats` and `cas quota`, as a person types them."""

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute


def test_what_is_stored_is_shown(cas: Place) -> None:
    assert "hold 0 versions" in cas("stats").out
    assert cas("snapshot").code == 0
    found = cas("stats", "--json").json
    assert (found["versions"], found["growth"], found["days_left"]) == (1, None, None)
    assert found["pack_bytes"] == sum(
        path.stat().st_size for path in (cas.store / "packs").rglob("*") if path.is_file()
    )
    assert found["stores"][0]["free_bytes"] > 0
    assert found["sizes"] is None
    sizes = cas("stats", "--by-entity", "--json").json["sizes"]
    assert 0.5 < sizes["needed_bytes"] / found["pack_bytes"] < 1.1, "each chunk has a share, rounded up"
    products = next(one for one in sizes["entities"] if one["label"] == "public.products")
    assert products["versions"] == 1
    assert 0 < products["alone_bytes"] <= products["stored_bytes"] < sizes["needed_bytes"]
    assert "all that versions need" in cas("stats", "--by-entity").out
    told = cas("stats").out
    for words in ("hold 1 version", "public.products", "manual", "full", "primary", "cas replica add"):
        assert words in told


def test_a_quota_is_set_held_and_dropped(cas: Place, shop: str) -> None:
    assert cas("snapshot").code == 0
    assert "No quota is set" in cas("quota").out
    assert cas("quota", "set", "100GB").code == 0
    assert cas("quota", "--json").json["quota"] == 100 * 10**9
    used = cas("quota", "--json").json["used"]
    assert "100 % of the quota" in cas("quota", "set", str(used)).out.replace("100%", "100 %")
    execute(shop, "UPDATE products SET price = 0")
    refused = cas("snapshot")
    assert refused.code == ExitCode.NO_SPACE
    assert "cas quota set" in refused.error
    assert [one["number"] for one in cas("versions", "--json").json["versions"]] == [1]
    assert cas("quota", "off").code == 0
    assert cas("snapshot").code == 0
    for wrong in (("set",), ("set", "much"), ("off", "1GB"), ("raise",)):
        assert cas("quota", *wrong).code == ExitCode.INVALID
