"""Information of the kernel about a process: its descendants and listening sockets."""

from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> set[int]:
    """Every process below this one, now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # pid (name) state ppid …, and the name may hold anything
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: set[int] = set()
    new = {pid}
    while new := {child for child, parent in parents.items() if parent in new} - found:
        found |= new
    return found


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_of(pid: int) -> str:
    """Its command line."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def listening_sockets(pid: int) -> set[str]:
    """The local addresses (as the kernel writes them) on which this process itself listens; none if it has ended."""
    inodes = set()
    rows: list[list[str]] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
        for descriptor in (Path("/proc") / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        for table in ("tcp", "tcp6"):
            text = (Path("/proc") / str(pid) / "net" / table).read_text()
            rows += [row.split() for row in text.splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}  # 0A: TCP_LISTEN
