"""Descriptions of products, composed of the vocabulary by a small grammar."""

from collections.abc import Callable

from cas.demo.taxonomy import Leaf
from cas.demo.words import ADJECTIVES, CIRCUMSTANCES, OCCASIONS, SERIES, SERVICES, STRENGTHS

Draw = Callable[[], float]
"""The next number of a generator, in [0, 1)."""

_OPENINGS = (
    "{Adjective} {kind} made of {material}, {purpose}.",
    "{Adjective} {kind} {purpose}, made of {material}.",
    "Made of {material}: {adjective} {kind} {purpose}.",
    "{Adjective} {kind} {purpose}, {occasion}.",
    "{Adjective} {kind} to use {occasion}. Mostly {material}.",
    "This {kind} of {material} is made {purpose}.",
    "Our {kind} from the {segment} range, {purpose} and {occasion}.",
    "{number} g of {material}: {adjective} {kind} to rely on {occasion}.",
)

_MIDDLES = (
    " The {part} and the {part2}: {number} mm.",
    " The {part} {strength} {when}; the {part2} {strength2} {when2}.",
    " Its {part} {strength} {when}.",
    " Customers say that the {part} {strength} {when}.",
    " New: the {part} {strength} and {strength2}.",
    " After {number} hours of tests the {part} {strength} {when}.",
    " The {part} measures {number} mm and {strength} {when}.",
    " With {number} mm the {part} {strength} {when}.",
)

_FITS = (
    " Fits {series} {number} and {number2}.",
    " Goes with {series} {number}.",
    " Successor of {series} {number}.",
    " Refill: {number2}-{number}.",
)


def description(leaf: Leaf, draw: Draw) -> str:
    """Two to five sentences about a product of this category."""
    text = _opening(leaf, draw) + _middle(leaf, draw)
    ending = draw()
    if ending < 0.35:
        text += " " + SERVICES[int(draw() * len(SERVICES))]
    if ending > 0.45:
        text += _FITS[int(draw() * len(_FITS))].format(
            series=SERIES[int(draw() * len(SERIES))],
            number=50 + int(draw() * 950),
            number2=50 + int(draw() * 950),
        )
    return text


def _opening(leaf: Leaf, draw: Draw) -> str:
    department = leaf.department
    adjective = ADJECTIVES[int(draw() * len(ADJECTIVES))]
    return _OPENINGS[int(draw() * len(_OPENINGS))].format(
        Adjective=adjective[0].upper() + adjective[1:],
        adjective=adjective,
        kind=leaf.kind,
        material=department.materials[int(draw() * len(department.materials))],
        purpose=department.purposes[int(draw() * len(department.purposes))],
        occasion=OCCASIONS[int(draw() * len(OCCASIONS))],
        segment=leaf.segment,
        number=40 + int(draw() * 2400),
    )


def _middle(leaf: Leaf, draw: Draw) -> str:
    parts = leaf.department.parts
    place = int(draw() * len(parts))
    virtue = int(draw() * len(STRENGTHS))
    return _MIDDLES[int(draw() * len(_MIDDLES))].format(
        part=parts[place],
        part2=parts[place - 1 - int(draw() * (len(parts) - 2))],
        strength=STRENGTHS[virtue],
        strength2=STRENGTHS[virtue - 1 - int(draw() * (len(STRENGTHS) - 2))],
        when=CIRCUMSTANCES[int(draw() * len(CIRCUMSTANCES))],
        when2=CIRCUMSTANCES[int(draw() * len(CIRCUMSTANCES))],
        number=3 + int(draw() * 900),
    )
