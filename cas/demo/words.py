"""The vocabulary that all departments of the demo platform share.

The lists are long and independent enough that text composed of them (`cas.demo.sentences`) compresses
like the text of a real shop.
"""

BRAND_STEMS = (
    "Alder", "Aven", "Bel", "Brand", "Cor", "Dorn", "Eben", "Elm", "Fal", "Fen", "Gran", "Hal", "Hart",
    "Isen", "Jor", "Kel", "Lar", "Lind", "Mar", "Mor", "Nev", "Nord", "Oster", "Pell", "Quar", "Rav", "Ros",
    "Sel", "Sund", "Tarn", "Thal", "Ul", "Ver", "Vel", "Wald", "Wes", "Yar", "Zel",
)  # fmt: skip
BRAND_ENDINGS = (
    "ara", "back", "berg", "brook", "dal", "ell", "enza", "feld", "ford", "gren", "haus", "holm", "ix",
    "kamm", "kvist", "lund", "mark", "mont", "on", "rad", "ström", "tal", "vik", "wick",
)  # fmt: skip

SERIES = (
    "Alba", "Anker", "Arbor", "Aster", "Atlas", "Bora", "Brise", "Canto", "Cedar", "Cirrus", "Cobalt",
    "Corvo", "Delta", "Dune", "Echo", "Ember", "Fjell", "Flint", "Forum", "Gale", "Garda", "Halo",
    "Harbour", "Helix", "Ibis", "Indigo", "Isola", "Juno", "Kestrel", "Kiel", "Lago", "Larch", "Linea",
    "Luma", "Lynx", "Marin", "Merid", "Mica", "Mistral", "Nave", "Nimbus", "Nota", "Onda", "Opal", "Orca",
    "Otter", "Pampa", "Passo", "Pico", "Polar", "Prado", "Quartz", "Ridge", "Rowan", "Sable", "Salto",
    "Sierra", "Sirocco", "Slate", "Solano", "Sorrel", "Strato", "Tamar", "Tessel", "Tide", "Torre", "Trail",
    "Umbra", "Vale", "Vento", "Verso", "Vista", "Volta", "Wren", "Yew", "Zephyr",
)  # fmt: skip

COLOURS = (
    "slate grey", "moss green", "off-white", "midnight blue", "brick red", "sand", "anthracite", "ochre",
    "teal", "natural", "walnut", "copper", "sage", "plum", "sky blue", "mustard", "black", "pearl", "rust",
    "mint", "burgundy", "cream", "petrol", "olive", "lilac", "graphite", "apricot", "navy", "stone",
    "forest green",
)  # fmt: skip

ADJECTIVES = (
    "a sturdy", "a light", "a quiet", "a well-balanced", "an honest", "a compact", "an unfussy",
    "a generous", "a slim", "a repairable", "a hard-wearing", "an easy-care", "a precise", "a plain",
    "a handsome", "a foldable", "a stackable", "an all-weather", "a clever", "a traditional", "a nimble",
    "a reliable", "a warm", "a space-saving", "an adjustable", "a modular", "a tried and tested",
    "a thoughtful",
)  # fmt: skip

STRENGTHS = (
    "stays tight", "sits flush", "does not rattle", "takes rough handling", "feels warm", "keeps its shape",
    "locks safely", "wipes clean", "opens smoothly", "keeps out dust", "ages well", "works silently",
    "can be replaced", "can be adjusted", "holds firm", "leaves no marks", "resists salt", "never slips",
    "lies well in the hand", "is easy to find", "stays cool", "dries quickly", "comes off for cleaning",
    "needs no oil", "carries its load", "is quick to fold", "remains supple", "takes a knock",
)  # fmt: skip

CIRCUMSTANCES = (
    "after years of use", "in daily use", "even in frost", "even when wet", "under full load",
    "without tools", "with gloves on", "at any angle", "after a decade", "season after season",
    "in small hands", "in the dark", "on uneven ground", "by the sea", "in tight spots", "at a touch",
    "in full sun", "after a fall", "with one hand", "on long days", "from the first day", "in a hurry",
    "in any weather", "without a sound",
)  # fmt: skip

OCCASIONS = (
    "at short notice", "on a small budget", "in rented rooms", "all year round", "on Sunday mornings",
    "with little storage", "in the rainy months", "after work", "with children around",
    "far from the next shop", "on the top floor", "in old houses", "when guests arrive", "in the city",
    "in the mountains", "on the coast", "for the first time", "for the hundredth time", "before breakfast",
    "late at night",
)  # fmt: skip

SERVICES = (
    "Spare parts are kept for ten years.", "Packed without plastic.", "Delivered assembled.",
    "Assembly takes about a quarter of an hour.", "The manual comes in six languages.",
    "Returned pieces are repaired and sold again.", "Wash separately the first time.",
    "Do not leave in standing water.", "Wipe with a damp cloth only.", "Re-oil once a year.",
    "Made in small batches, so shades vary.", "Suitable for dishwashers up to 55 °C.",
    "Not a toy for children under three.", "Screws and wall plugs are included.",
    "Refills are sold separately.", "Winner of two tests by independent magazines.",
    "Sizes run small; take one more.", "Sold in pairs.", "A repair kit lies in the box.",
    "Batteries are not included.",
)  # fmt: skip

TAGS = (
    "new", "bestseller", "repairable", "vegan", "gift", "outlet", "limited", "handmade", "eu-made", "bulky",
    "refurbished", "online-only", "spring", "summer", "autumn", "winter", "award", "staff-pick",
    "clearance", "bundle",
)  # fmt: skip

COUNTRIES = ("DE", "PT", "IT", "SE", "PL", "CZ", "FR", "DK", "AT", "NL", "ES", "EE", "FI", "JP", "TW", "TR")

SUPPLIER_FORMS = ("GmbH", "Lda", "S.r.l.", "AB", "Sp. z o.o.", "s.r.o.", "SARL", "ApS", "Oy", "B.V.")
SUPPLIER_TRADES = (
    "Trading", "Works", "Supply", "Manufaktur", "Import", "Logistics", "Workshops", "Mills", "Foundry",
    "Goods",
)  # fmt: skip

PRICE_REASONS = ("season", "supplier", "promotion", "correction", "currency", "clearance")
