"""The config: what must be known before anything else in a repository can be read."""

from dataclasses import dataclass

from cas.format.canonical import Fields, Json, encode_json, open_envelope, parse_json, seal_envelope
from cas.format.malformed import malformed, newer
from cas.format.times import check_time
from cas.ids import ID_KEY_BYTES, IdKey

FORMAT = 1
REPOSITORY_ID_BYTES = 16
MAX_NODE_BITS = 7


@dataclass(frozen=True, slots=True)
class Config:
    """`generation` grows with each rewrite of the config; a writer refuses an older one than it has
    seen. `node_bits`: a key closes a node when its hash ends in this many zero bits."""

    repository_id: str
    """32 hex digits."""
    created_at: str
    """cas.format.times; for people."""
    id_key: IdKey
    node_bits: int
    generation: int = 1


def encode_config(config: Config) -> bytes:
    """The one encoding. Raises what `parse_config` would raise for it."""
    data = seal_envelope(encode_json(config_fields(config)))
    parse_config(data)
    return data


def config_fields(config: Config) -> dict[str, Json]:
    """As `config_of` takes them."""
    return {
        "created_at": config.created_at,
        "format": FORMAT,
        "generation": config.generation,
        "id_key": config.id_key.material.hex(),
        "node_bits": config.node_bits,
        "repository_id": config.repository_id,
        "sealing": None,
        "type": "config",
    }


def parse_config(data: bytes, where: str = "config") -> Config:
    """The config. A sealed or newer one is Unsupported; anything else that is odd is CorruptData."""
    return config_of(Fields(parse_json(open_envelope(data, where), where), where), where)


def config_of(fields: Fields, where: str = "config") -> Config:
    """The config from its fields, which are used up."""
    if fields.text("type") != "config":
        raise malformed("not a config", where)
    version = fields.integer("format")
    if version != FORMAT:
        raise newer(f"repository format {version}", where)
    fields.reserved("sealing")
    config = Config(
        repository_id=fields.binary("repository_id", REPOSITORY_ID_BYTES).hex(),
        created_at=check_time(fields.text("created_at"), where),
        id_key=IdKey(fields.binary("id_key", ID_KEY_BYTES)),
        node_bits=fields.integer("node_bits"),
        generation=fields.integer("generation"),
    )
    fields.finish()
    if not 1 <= config.node_bits <= MAX_NODE_BITS or not config.generation:
        raise malformed("node_bits or generation out of range", where)
    return config
