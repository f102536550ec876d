"""Hours, days, weeks, months and years in the zone that people live in."""

from datetime import datetime, tzinfo

from cas.retention.model import Keep

PERIODS = (Keep.HOURLY, Keep.DAILY, Keep.WEEKLY, Keep.MONTHLY, Keep.YEARLY)


def period_of(keep: Keep, moment: datetime, zone: tzinfo) -> str:
    """The name of the period that a moment falls into. An hour that a change of clocks repeats is two:
    its name has the offset."""
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # a document may say the last moment of all time
        local = moment
    match keep:
        case Keep.HOURLY:
            return f"{local:%Y-%m-%d %H:00%z}"
        case Keep.DAILY:
            return f"{local:%Y-%m-%d}"
        case Keep.WEEKLY:
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02}"
        case Keep.MONTHLY:
            return f"{local:%Y-%m}"
        case Keep.YEARLY:
            return f"{local:%Y}"
    raise ValueError(f"{keep.value} has no periods")
