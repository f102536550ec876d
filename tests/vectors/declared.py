"""Inputs of the vectors that no rule can make: what a compressor once wrote.

All other bytes of the vectors follow from struct, BLAKE3 and zstd's raw and run-length blocks, which
every version of every library writes alike. These were written once by libzstd 1.5.7 at level 3.
"""

RECORDS = (
    b'6000\toak lamp table\t26.42\t{"colour": "red", "stock": 11}\t2026-01-23 10:00:00+00',
    b'6001\tred oak bolt\t170.56\t{"colour": "green", "stock": 24}\t2026-01-02 10:00:00+00',
    b'6002\tmirror red frame\t629.39\t{"colour": "red", "stock": 44}\t2026-01-05 10:00:00+00',
)
"""Three payloads."""

CHANGED = b'6001\tred oak bolt\t170.56\t{"colour": "green", "stock": 24}\t2026-02-02 10:00:00+00'
"""The second of them with another date."""

DICTIONARY = bytes.fromhex(
    "37a430ec4af9811c1f10e051daffffffff2f68b45c526bbc9126b211ff5a22bbbb774acdd115d0095305102000"
    "80877c01000004c0c241c38d06851c99999f8dc1834a060000000100008b1d00000000000000000000f4a66b8e"
    "9050281e04c4a2a1300ac3318041bd00000000000100000004000000080000006f636b223a2033327d09323032"
    "362d30312d30342031303a30303a30302b30303239393709737465656c206d6972726f722037097b22636f6c6f"
    "7572223a2022726564222c202273746f636b223a2034307d09323032362d30312d30352031303a30303a38097b"
    "22636f6c6f7572223a2022626c7565222c202273746f636b223a20317d0932"
)
"""A trained dictionary of 256 bytes."""

DICTIONARY_FRAME = bytes.fromhex(
    "28b52ffd20f1a50200d3040cdd4af7822ac16f2b25b136fbbffe91b23e1a4bed7ca3491776c8badeddd4bbff4a"
    "ed57ce25464c05499c1c8974bbbb050ffc801871962e946be613e8cfc435e5ed374691ccb0e517a7d3577eef32"
    "339901"
)
"""RECORDS, one after another, with DICTIONARY and without its number in the frame."""

DICTIONARY_FRAME_WITH_ID = bytes.fromhex(
    "28b52ffd234af9811cf1a50200d3040cdd4af7822ac16f2b25b136fbbffe91b23e1a4bed7ca3491776c8badedd"
    "d4bbff4aed57ce25464c05499c1c8974bbbb050ffc801871962e946be613e8cfc435e5ed374691ccb0e517a7d3"
    "577eef32339901"
)
"""The same with the dictionary's number in the frame."""

DELTA_FRAME = bytes.fromhex("28b52ffd205055000008320200d04927290001")
"""CHANGED as a delta on RECORDS[1]."""

DELTA_FRAME_ON_TWO = bytes.fromhex("28b52ffd20a2550000083202000e93b4241920")
"""CHANGED and RECORDS[2] as a delta on RECORDS[1] and RECORDS[2]."""

ZSTD_FRAME = bytes.fromhex(
    "28b52ffd60d3016d040012881a1b7089dafef19b416da545c1daf8ffbf9655965e8efee74481aecf10c9535290"
    "4359be05a91e60b7ee0274bb4f6b58ab099c1c17e845ac31e8ac3efdf9077cb922b286dee0fdde4215977c9a16"
    "211203e9ac4e5cb2138db52615b7e9e0bdc51815e101520c1fd5ee3f070c00dc74a302d0316c58b22e5c71490b"
    "c1011dc386a7e07414e7ad1089183833"
)
"""RECORDS three times, by itself."""
