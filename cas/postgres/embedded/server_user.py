"""Under whom a PostgreSQL server of ours runs, and how that user reaches its files.

PostgreSQL refuses to run as root. Started by an ordinary user, a server of ours runs as that user and
nothing here does anything. Started by root (a container, most often), it runs as an unprivileged
user, who must reach the programs and the data directory although they may lie below a private
directory such as /root. Instead of opening such directories to everybody, the server's process
joins the directory's group, and the group alone is let through (mode 0700 becomes 0710).
"""

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cas.errors import PermissionDenied, TimedOut

ACCOUNTS = ("pgserver", "postgres")
"""Looked for in this order; the first is created where neither exists."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Ids for the server's processes; `uid` None means: as ourselves."""

    uid: int | None
    gid: int | None
    groups: tuple[int, ...]

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        seconds: float,
        place: Path = Path("/"),
        keep: tuple[int, ...] = (),
    ) -> tuple[int, str]:
        """Run a program to its end as this user: exit code, and standard output with errors.

        Our own PG* variables do not reach it: they would move its port or socket. Nor do CAS_*, which may
        be secrets. `place` is its working directory, `keep` are open files that it inherits. TimedOut after
        `seconds`; the program is then killed.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "CAS_"))}
        try:
            done = subprocess.run(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env={**inherited, "LC_ALL": "C"},
                cwd=place,
                umask=0o077,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else self.groups,
                pass_fds=keep,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            name = Path(arguments[0]).name
            raise TimedOut(f"{name} did not end within {seconds:.0f} s", where=str(arguments[0])) from error
        return done.returncode, done.stdout

    def own(self, path: Path) -> None:
        """Make the user the owner of this one file or directory."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def admitted(self, path: Path) -> "ServerUser":
        """This user, able to enter the directory `path` and all above it."""
        user = self
        if self.uid is not None:
            resolved = path.resolve()
            for directory in (*reversed(resolved.parents), resolved):
                user = _let_through(user, directory, stat.S_IXOTH)
        return user

    def admitted_tree(self, root: Path, probe: Path) -> "ServerUser":
        """This user, able to read and run everything below `root`.

        `probe` is one file below it; where that one can be run, all can: installers give all
        files of a package one mode.
        """
        user = self.admitted(root)
        if self.uid is not None and not _may(user, probe.stat(), stat.S_IROTH | stat.S_IXOTH):
            for place, _, names in os.walk(root):
                for path in (Path(place), *(Path(place, name) for name in names)):
                    mode = path.lstat().st_mode
                    if not stat.S_ISLNK(mode):
                        needed = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
                        user = _let_through(user, path, needed)
        return user


def server_user(data: Path) -> ServerUser:
    """Who runs the server of this data directory (which need not exist yet).

    Ourselves, unless we are root: then the directory's owner, else an account of ACCOUNTS.
    PermissionDenied where there is none and none can be made.
    """
    if os.geteuid() != 0:
        return ServerUser(None, None, ())
    if data.exists() and (status := data.stat()).st_uid != 0:
        return ServerUser(status.st_uid, status.st_gid, ())
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(account.pw_uid, account.pw_gid, ())
    return _new_account(ACCOUNTS[0])


def _new_account(name: str) -> ServerUser:
    try:
        subprocess.run(["useradd", "--system", "--user-group", name], check=True, capture_output=True)
        account = pwd.getpwnam(name)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise PermissionDenied(
            "PostgreSQL does not run as root, and no account for it could be made",
            where=name,
            hint="Run cas as an ordinary user, or name a PostgreSQL server in CAS_CATALOG",
        ) from error
    return ServerUser(account.pw_uid, account.pw_gid, ())


def _let_through(user: ServerUser, path: Path, needed: int) -> ServerUser:
    """`needed` in the bits of "others". Gives the group the right, and the user the group."""
    status = path.stat()
    if _may(user, status, needed):
        return user
    path.chmod(stat.S_IMODE(status.st_mode) | needed << 3)
    return replace(user, groups=tuple(sorted({*user.groups, status.st_gid})))


def _may(user: ServerUser, status: os.stat_result, needed: int) -> bool:
    if status.st_uid == user.uid:
        return status.st_mode & needed << 6 == needed << 6
    if status.st_gid == user.gid or status.st_gid in user.groups:
        return status.st_mode & needed << 3 == needed << 3
    return status.st_mode & needed == needed
