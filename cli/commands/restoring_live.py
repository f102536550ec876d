"""A plan for the running platform: shown, agreed to, executed, and told what became of it."""

from contextlib import suppress
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from cas.catalog.restore_model import RestoreState
from cas.errors import CasError, Conflict, InvalidInput
from cas.live.executing import LiveRestoreReceipt, execute_plan
from cas.live.plan import RestorePlan
from cas.live.prepared import PreparedPlan
from cas.postgres.live.platform import PostgresPlatform
from cas.records.source import EntityEstimate
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.showing_plan import is_empty, told_plan
from cli.showing_restores import told_receipt
from cli.stopping import Stopped
from cli.watching_faces import watching
from cli.words import number


@dataclass(frozen=True, slots=True)
class LiveRestored:
    """What `cas restore` and `cas undo` did. `receipt` is None where nothing had to be done."""

    plan: RestorePlan
    receipt: LiveRestoreReceipt | None


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said beforehand. `is_stored`: the plan was there before this command, and stays."""

    is_given: bool
    dry_run: bool
    is_stored: bool = False


def require_somebody(cas: Session, consent: Consent) -> None:
    """InvalidInput where consent is wanted and nobody can be asked for it: said before any work."""
    if not (consent.is_given or consent.dry_run or cas.terminal.is_interactive):
        raise InvalidInput(
            "a restore wants to be confirmed, and nobody can be asked",
            where="restore",
            hint="Add --yes, or --dry-run to see the plan only",
        )


def finish(cas: Session, platform: PostgresPlatform, prepared: PreparedPlan, consent: Consent) -> ExitCode:
    """Show the plan, and execute it where that is wanted. Conflict where it is blocked."""
    plan = prepared.plan
    if consent.dry_run:
        cas.terminal.result(plan, human=Group(*told_plan(plan, cas.terminal.out.width)))
        return ExitCode.CONFLICT if plan.is_blocked else ExitCode.OK
    try:
        if not _is_agreed(cas, plan, consent):
            _put_aside(cas, plan, consent, "it was not agreed to")
            cas.terminal.note("Nothing was done")
            return ExitCode.DECLINED
    except (Conflict, Stopped) as error:
        _put_aside(cas, plan, consent, str(error))
        raise
    if is_empty(plan):
        _put_aside(cas, plan, consent, "nothing differs")
        told = Text("Nothing differs: the platform is already as asked", style="bold green")
        cas.terminal.result(LiveRestored(plan, None), human=told)
        return ExitCode.OK
    receipt = _execute(cas, platform, prepared)
    cas.if_stopped = f"The restore is complete. To take it back: cas undo {plan.number}"
    for note in receipt.notes:
        cas.terminal.warn(note)
    human = told_receipt(receipt, plan)
    cas.terminal.result(LiveRestored(plan, receipt), human=human)
    return ExitCode.OK


def _is_agreed(cas: Session, plan: RestorePlan, consent: Consent) -> bool:
    """Show the plan, and ask unless that was said already. A plan that changes nothing needs no consent."""
    terminal = cas.terminal
    terminal.beside(Text())
    for part in told_plan(plan, terminal.err.width):
        terminal.beside(part)
    for finding in plan.findings if terminal.as_json else ():
        terminal.warn(f"{finding.what}. {finding.hint}".strip())
    if plan.is_blocked:
        first = next(finding for finding in plan.findings if finding.blocks)
        raise Conflict(f"the plan is blocked: {first.what}", where=f"plan {plan.number}", hint=first.hint)
    if consent.is_given or is_empty(plan):
        return True
    cas.if_stopped = "Nothing was changed"
    wanted = str(plan.changes)
    records = "record that changes" if plan.changes == 1 else "records that change"
    terminal.beside(Text())
    answer = terminal.ask(f"Type {number(plan.changes)}, the number of {records} in {plan.target}: ")
    return answer.strip().replace(",", "") == wanted


def _put_aside(cas: Session, plan: RestorePlan, consent: Consent, why: str) -> None:
    """A plan that nobody wants shall not wait for ever. One that was stored before does."""
    if not consent.is_stored:
        with suppress(CasError):
            cas.restores.cancelled(plan.number, why)


def _execute(cas: Session, platform: PostgresPlatform, prepared: PreparedPlan) -> LiveRestoreReceipt:
    plan = prepared.plan
    changing = {
        one.label: EntityEstimate(one.changes, one.changed_bytes) for one in plan.entities if one.changes
    }
    try:
        with watching(cas.terminal, "restore") as counters:
            counters.expect(changing, is_exact=True)
            return execute_plan(
                cas.repository,
                cas.catalog,
                cas.restores,
                platform,
                prepared,
                counters,
                approved_by=whoami(),
            )
    except Stopped:
        cas.if_stopped = _became(cas, platform, plan.number).text
        raise
    except CasError:
        became = _became(cas, platform, plan.number)
        if became.is_unchanged is not True:
            cas.terminal.warn(became.text)
        raise


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a restore that ended otherwise. `is_unchanged`: nothing was; None where nobody knows."""

    is_unchanged: bool | None
    text: str


def _became(cas: Session, platform: PostgresPlatform, number: int) -> Became:
    """Asked from catalog and platform, never guessed."""
    with suppress(CasError):
        found = cas.restores.restore(number)
        if found.state is RestoreState.VERIFYING and found.transaction_id is not None:
            committed = platform.outcome(found.transaction_id)
            if committed is not None:
                found = cas.restores.resolve(number, committed, "the platform was asked at once")
        if found.state is RestoreState.PLANNED:
            return Became(True, f"Nothing was changed; the plan is still there: cas restore --plan {number}")
        if found.state in (RestoreState.CANCELLED, RestoreState.FAILED):
            state = found.state.value
            return Became(True, f"Nothing was changed: all was taken back, and restore {number} is {state}")
        if found.state is RestoreState.COMPLETED:
            text = f"It was committed already, and is complete. To take it back: cas undo {number}"
            return Became(False, text)
        if found.transaction_id is None:
            return Became(True, "Nothing was changed: the platform took everything back")
    return Became(None, f"Whether it was committed is not known: `cas restores {number}` asks the platform")
