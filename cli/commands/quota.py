"""`cas quota`: how much the store may hold."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from cas.errors import InvalidInput
from cas.noting import catch_up, say
from cas.quota import WARNED_SHARE, parse_size, quota_of, quota_setting, stored_in_packs
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.words import size


@dataclass(frozen=True, slots=True)
class QuotaShown:
    """In bytes. `quota`: None where there is none; `used`: by packs, those among them that wait for gc."""

    quota: int | None
    used: int
    is_low: bool


def add_quota(app: typer.Typer) -> None:
    command(app, "quota", examples=["cas quota", "cas quota set 100GB", "cas quota off"])(quota)


def quota(
    cas: Session,
    verb: Annotated[str | None, typer.Argument(metavar="[set|off]", help="Unset: show it.")] = None,
    amount: Annotated[str | None, typer.Argument(metavar="[SIZE]", help="100GB, 512MiB, ...")] = None,
) -> ExitCode:
    """Show, set or drop the quota: a version that would pass it is refused, or stopped on its way.

    Nothing is ever deleted for it. From 80 % on, `cas snapshot` warns.
    """
    match verb, amount:
        case None, None:
            catch_up(cas.repository, cas.catalog)
        case "set", str():
            say(cas.repository, cas.catalog, whoami(), [quota_setting(parse_size(amount, "SIZE"))])
        case "off", None:
            say(cas.repository, cas.catalog, whoami(), [quota_setting(None)])
        case _:
            hint = "Write `cas quota`, `cas quota set 100GB` or `cas quota off`"
            raise InvalidInput("that is no way to set a quota", where="quota", hint=hint)
    limit, used = quota_of(cas.catalog), stored_in_packs(cas.catalog)
    is_low = limit is not None and used >= WARNED_SHARE * limit
    cas.terminal.result(QuotaShown(limit, used, is_low), human=_told(limit, used, is_low=is_low))
    return ExitCode.OK


def _told(limit: int | None, used: int, *, is_low: bool) -> Text:
    if limit is None:
        return Text.assemble(("No quota is set", "bold"), f": {size(used)} are taken")
    style = "bold yellow" if is_low else "bold green"
    return Text.assemble(
        (f"{used / limit:.0%} of the quota are taken", style), f": {size(used)} of {size(limit)}"
    )
