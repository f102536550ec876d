"""The demo platform's tree of categories: departments, groups, kinds of product, segments."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cas.demo.departments import DEPARTMENTS, Department


@dataclass(frozen=True, slots=True)
class Node:
    """One category. `id` counts from 1 in depth-first order; roots have no parent."""

    id: int
    parent_id: int | None
    name: str
    slug: str
    path: str
    position: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A category that products belong to, with the words for them. `kind` is lower case."""

    node_id: int
    kind: str
    title: str
    segment: str
    department: Department


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The same tree for every platform: it depends on the vocabulary only."""

    nodes: Sequence[Node]
    leaves: Sequence[Leaf]


def slug(name: str) -> str:
    """A name as a part of a path: ASCII letters, digits and hyphens. 'Hand Tools' -> 'hand-tools'."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def title(kind: str) -> str:
    """A kind of product as a heading: 'chef's knife' -> 'Chef's Knife'."""
    return " ".join(word[:1].upper() + word[1:] for word in kind.split(" "))


def taxonomy() -> Taxonomy:
    """The whole tree."""
    nodes: list[Node] = []
    leaves: list[Leaf] = []

    def add(parent: Node | None, name: str, position: int) -> Node:
        part = slug(name)
        path = f"{parent.path}/{part}" if parent else f"/{part}"
        node = Node(len(nodes) + 1, parent.id if parent else None, name, part, path, position)
        nodes.append(node)
        return node

    for place, department in enumerate(DEPARTMENTS, 1):
        root = add(None, department.name, place)
        for group_place, (group_name, kinds) in enumerate(department.groups.items(), 1):
            group = add(root, group_name, group_place)
            for kind_place, kind in enumerate(kinds, 1):
                heading = title(kind)
                kind_node = add(group, heading, kind_place)
                for segment_place, segment in enumerate(department.segments, 1):
                    leaf = add(kind_node, segment, segment_place)
                    leaves.append(Leaf(leaf.id, kind, heading, segment, department))
    return Taxonomy(tuple(nodes), tuple(leaves))
