"""The roles that a schema's statements name: owners, grantees, policies. No dump creates roles."""

from collections.abc import Iterable, Sequence

from cas.postgres.filling.schema_steps import Step
from cas.postgres.statements import Token, tokens

_NO_ROLES = frozenset({"public", "current_user", "session_user", "current_role", "user"})
"""Words that stand where a role may stand."""


def roles_named(steps: Iterable[Step]) -> set[str]:
    """All roles that must exist for these steps to run."""
    return {role for step in steps for role in _roles(list(tokens(step.statement)))}


def owners_named(steps: Iterable[Step]) -> set[str]:
    """The roles that become owners of something: who restores must be able to act as them."""
    owners: set[str] = set()
    for step in steps:
        words = list(tokens(step.statement))
        if _texts(words[-3:-1]) == ["owner", "to"] and _texts(words[:1]) == ["alter"]:
            owners |= _named(words[-1:])
    return owners


def _roles(words: Sequence[Token]) -> set[str]:
    match _texts(words[:4]):
        case ["grant", *_]:
            return _after(words, "to") | _after(words, "by")
        case ["revoke", *_]:
            return _after(words, "from") | _after(words, "by")
        case ["alter", "default", "privileges", "for"]:
            return _named(words[5:6]) | _after(words, "to") | _after(words, "from")
        case ["alter", *_] if _texts(words[-3:-1]) == ["owner", "to"]:
            return _named(words[-1:])
        case ["create", "policy", *_]:
            return _after(words, "to")
        case ["create", "user", "mapping", *_]:
            return _after(words, "for")
        case ["set", "session", "authorization", *_]:
            return _named(words[3:4])
    return set()


def _after(words: Sequence[Token], word: str) -> set[str]:
    """The names in the list behind the last such word outside of parentheses."""
    depth, start = 0, len(words)
    for place, token in enumerate(words):
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif depth == 0 and token.kind == "word" and token.text == word:
            start = place + 1
    end = start
    while end + 1 < len(words) and words[end + 1].text == ",":
        end += 2
    return _named(words[start : end + 1])


def _named(words: Sequence[Token]) -> set[str]:
    return {
        token.text
        for token in words
        if token.kind == "quoted" or (token.kind == "word" and token.text not in _NO_ROLES)
    }


def _texts(words: Sequence[Token]) -> list[str]:
    return [token.text for token in words]
