"""Every limit and margin of the stored format and of the engine, with its reason.

FORMAT.md repeats those that a reader must enforce; a test holds the two lists equal. A reader
refuses what exceeds a limit before it allocates memory for it.
"""

KIB = 1024
MIB = 1024 * KIB

MAX_CHUNK_BYTES = 16 * MIB
"""Plain bytes of one chunk. Larger values are cut into pieces, so that memory stays bounded."""

MAX_FRAME_BYTES = 16 * MIB
"""Plain bytes of one frame; a frame holds one chunk of the largest size or many small ones."""

MAX_FRAME_CHUNKS = 4096
"""Chunks in one frame. Decoding a frame to read one chunk stays cheap."""

FRAME_TARGET_BYTES = 16 * KIB
"""Records are gathered into frames of about this size. Measured on product records of 463 bytes
with a 256 KiB dictionary, level 3: alone 156 B, in frames of 32 134.8 B, one solid stream 133.6 B;
decoding costs half per record. Larger frames gain nothing and make reading one record slower."""

NODE_FRAME_TARGET_BYTES = 32 * KIB
"""Tree nodes are mostly chunk ids, which do not compress; their keys do, and like company."""

LARGE_VALUE_BYTES = 1 * MIB
"""A payload above this is stored as pieces of this size and a list of them (kind LARGE)."""

MAX_LARGE_PIECES = 64 * KIB
"""Pieces of one value: 64 GiB, far above PostgreSQL's 1 GiB row in text form."""

MAX_KEY_BYTES = 1 * MIB
"""Key bytes of one record. A btree index refuses keys above a third of a page after compression;
compression of text gains at most about a factor 100 on them."""

PACK_TARGET_BYTES = 16 * MIB
"""Stored bytes after which a pack is closed: few requests, and a rewrite stays cheap."""

PACK_TARGET_CHUNKS = 1 << 18
"""Chunks after which a pack is closed: bounds what a writer remembers of it. Of the smallest records, with
16 stored bytes and 20 in the trailer, that is still 9 MiB."""

MAX_PACK_BYTES = 64 * MIB
"""A pack that is larger is refused: one frame of the largest size above the target, and margin."""

MAX_PACK_CHUNKS = 1 << 20
"""Chunks in one pack. Bounds the trailer (24 MiB plain) whatever the chunks' size."""

MAX_TRAILER_BYTES = 40 * MIB
"""Plain bytes of a trailer: 2^20 chunks of 20 bytes, and as many frames of 16 with few bases."""

MAX_DELTA_DEPTH = 32
"""Deltas on deltas that a reader follows. Longer chains save little and read slowly."""

DEFAULT_DELTA_DEPTH = 16
"""Deltas on deltas that a writer makes, unless it is told otherwise."""

MAX_DELTA_BASES = 64
"""Chunks whose bytes, one after the other, are the base of one delta frame."""

MAX_DELTA_BASE_BYTES = 16 * MIB
"""Plain bytes of all bases of one delta frame: what a reader holds beside the frame itself."""

DICTIONARY_BYTES = 256 * KIB
"""Size of a trained dictionary."""

DICTIONARY_MIN_SAMPLES_BYTES = 2 * MIB
"""An entity with fewer sampled bytes gets no dictionary: it could not earn its own size back."""

NODE_CANDIDATE_BITS = 6
"""A key whose hash ends in this many zero bits may close a node: 64 entries on average."""

MAX_NODE_ENTRIES = 256
"""Entries after which a node closes without a candidate."""

MAX_NODE_BYTES = 64 * KIB
"""Bytes of keys and values after which a node closes without a candidate (at >= 2 entries)."""

MAX_TREE_HEIGHT = 64
"""Levels a reader follows: a tree of 2^63 records with two entries a node."""

MAX_DOCUMENT_BYTES = 32 * MIB
"""A version document or a config. A line for each entity (100,000 of some 100 bytes) and each pack that
the version added (65,536 of 90 bytes in the first version of 1 TiB) must find room."""

MAX_JSON_BYTES = 128 * MIB
"""A list of entities or a schema, put together from its pieces: 100,000 tables of some 1,300 bytes."""

MAX_JSON_VALUES = 1 << 23
"""Texts, numbers, lists and objects in one JSON text: 100,000 tables of a dozen statements. A list takes two
bytes there and a hundred in memory, and 128 MiB of them compress to nothing."""

MAX_VERSION_NUMBER = 10**10 - 1
"""Versions and journals: their keys hold ten digits, so that keys sort as numbers do."""

MAX_ENTITIES = 100_000
"""Entities in one version."""

MAX_NOTE_CHARACTERS = 10_000
"""Of a hold's reason, and of a value that is set; a setting's name has 400 at most."""

MAX_NOTES = 10_000
"""Notes in one object: what is said at once of so many versions."""

SEALED_BLOCK_BYTES = 32 * KIB
"""Of a sealed object, stored; what is opened to read one byte. A tag of its own for each record would take a
third of a delta of 57 bytes, and 0.8 s for a million."""

MAX_DATA_KEYS = 1000
"""Keys that were ever used to seal a store: a rotation a month for 80 years."""

MAX_KEY_SLOTS = 64
"""Ways to open a store."""

MAX_LABEL_CHARACTERS = 200
"""Of a slot."""

MAX_COMMAND_KEY_BYTES = 16 * KIB
"""What a command or age makes of a key: Vault, the clouds' key services and age some hundred bytes, and age
for an RSA key of 4,096 bits a thousand."""

MAX_AGE_STANZAS = 8
"""Of what age makes of a key: one for the recipient, one that means nothing (rage adds such, so that readers
stay used to them), and room. An identity may be tried with each."""

MAX_KEY_MEMORY_KIB = 1024 * KIB
"""Of Argon2: what a reader spends on a passphrase at most, whatever a hostile store says."""

MAX_KEY_PASSES = 64
MAX_KEY_LANES = 64

MAX_KEY_WORK_KIB = MAX_KEY_MEMORY_KIB * MAX_KEY_PASSES
"""Memory times passes, of all passphrases of a store together: each may be tried, and none of them is the one
that was typed."""

MAX_MEMBER_BYTES = MAX_PACK_BYTES + MIB
"""One object in a bundle: the largest that a store takes."""

MAX_BUNDLE_MEMBERS = 1 << 18
"""Objects in a bundle: packs of 4 TiB. A reader remembers 300 bytes of each."""

SESSION_LEASE_SECONDS = 300
"""A writer renews its lease every minute; after five missed ones it is taken for dead."""

SESSION_RENEW_SECONDS = 60
"""Interval of renewal: a fifth of the lease, so that four may fail."""

LONGEST_LOCK_DAYS = 3650
"""Ten years. What is locked can be deleted by nobody, and is paid for so long."""
