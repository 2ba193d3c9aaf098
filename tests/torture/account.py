"""Whether everything that was dropped came out once, whole and with its record: by the bytes."""

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

from daemon.host import files
from daemon.job import State
from daemon.state.claimed import CLAIMED_FOLDER
from tests.support.atelier import Studio
from tests.support.past import Known, Past, read_jobs
from tests.support.record import RECORD_FIELDS
from tests.torture.drops import Drop

GIVEN_UP = "times in a row while painting"
"""By design: a job whose worker was lost three times running has failed, with that reason."""

OUTPUTS = {
    State.DONE: {"result", "record", "log", "original"},
    State.FAILED: {"original", "reason", "record", "log"},
    State.CANCELLED: {"original", "reason", "record", "log"},
}
COLUMNS = ("dropped", "done", "failed", "cancelled", "stayed", "lost", "twice")


@dataclass(frozen=True)
class Wanted:
    """A job that a drop asks for. path: as records show it."""

    kind: str
    path: str
    sha256: str
    preset: str
    verdict: State | None
    perhaps: bool


@dataclass
class Account:
    """What became of everything: a row for each kind, and every fault in words.

    again: jobs whose record stands although their picture came again, after a lost ledger.
    """

    rows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)
    given_up: int = 0
    sidecars_back: int = 0
    retried: int = 0
    again: int = 0

    @property
    def fine(self) -> bool:
        """Whether nothing is lost, nothing is there twice, and nothing else is wrong."""
        return not self.faults

    def table(self) -> str:
        """A line for each kind, and one for all."""
        width = max(map(len, self.rows), default=5)
        lines = [" ".join([" " * width, *(f"{column:>9}" for column in COLUMNS)])]
        total: Counter[str] = Counter()
        for kind, row in sorted(self.rows.items()):
            lines.append(" ".join([f"{kind:{width}}", *(f"{row[c]:9}" for c in COLUMNS)]))
            total += row
        lines.append(" ".join([f"{'all':{width}}", *(f"{total[c]:9}" for c in COLUMNS)]))
        return "\n".join(lines)


def settle(studios: Sequence[Studio], drops: Mapping[str, Sequence[Drop]], past: Past) -> Account:
    """The account of services that have stopped. drops: by kind.

    studios: those that share inbox and outbox; a job is in one of their ledgers.
    """
    register_heif_opener()
    studio = studios[0]
    jobs = [job for one in studios for job in read_jobs(one, one.ledger_path)]
    retried = [job for job in (*past.lost, *jobs) if job.state == State.RETRIED]
    account = Account(retried=len(retried))
    named = {
        files.printable(path.relative_to(studio.outbox)): path
        for path in studio.outbox.rglob("*")
        if not path.is_dir()
    }
    records = read_records(named, account)
    again = {job.id for job in past.lost if job.claimed and job.state != State.RETRIED}
    account.again = len(again)
    asked = with_retried(wanted(drops), retried)
    counted = [record for record in records if record["id"] not in again]
    pairs, lost, strange = match(asked, counted, account)
    repeated = [record for record in records if record["id"] in again]
    strange += [one for one in repeated if not any(is_same(one, want) for want in asked)]
    for want, record in pairs:
        account.rows[want.kind][record["state"]] += 1
        account.faults += check_record(record, want, named, account, past.asked)
    for want in lost:
        there = whereabouts(studio, want.sha256) or "nowhere"
        account.faults.append(f"lost: {want}; its bytes are {there}")
    for record in strange:
        account.faults.append(f"a record of nothing that was dropped: {shown(record)}")
    check_jobs(records, (*past.lost, *jobs), account)
    check_outbox(studio, named, records, drops, account)
    check_inbox(studio, drops, account)
    for one in studios:
        check_ledger(one, account)
        check_state(one, account)
    return account


def wanted(drops: Mapping[str, Sequence[Drop]]) -> list[Wanted]:
    """Every job that was asked for."""
    return [
        Wanted(
            kind,
            files.printable(picture.path),
            sha256(picture.content).hexdigest(),
            preset,
            picture.verdict,
            picture.perhaps,
        )
        for kind, dropped in drops.items()
        for drop in dropped
        for picture in drop.pictures
        for preset in picture.presets
    ]


def with_retried(wants: Sequence[Wanted], retried: Iterable[Known]) -> list[Wanted]:
    """What is asked for when jobs were retried: their pictures come again with all their jobs.

    A retried job leaves nothing, so that only the picture's others come once more.
    """
    found = list(wants)
    for job in retried:
        path = unmarked(files.printable(job.path))
        others = {
            want.preset: want
            for want in wants
            if (want.sha256, want.path) == (job.sha256, path) and want.preset != job.preset
        }
        found += others.values()
    return found


def read_records(named: Mapping[str, Path], account: Account) -> list[dict[str, Any]]:
    """Every record of the outbox that can be read."""
    records = []
    for name, path in named.items():
        if path.suffix != ".json":
            continue
        try:
            record = json.loads(path.read_bytes())
            missing = RECORD_FIELDS - record.keys()
            if missing or record["schema"] != 1 or record["outputs"]["record"] != name:
                raise ValueError(f"missing {missing}, or not where it says")
        except (ValueError, KeyError, AttributeError) as error:
            account.faults.append(f"a record that is none: {name}: {error}")
        else:
            records.append(record)
    return records


def match(
    wants: Iterable[Wanted], records: Sequence[dict[str, Any]], account: Account
) -> tuple[list[tuple[Wanted, dict[str, Any]]], list[Wanted], list[dict[str, Any]]]:
    """Pairs what was asked for with what there is, by bytes, path and preset.

    Returns the pairs, what is lost, and records nobody asked for; notes what is there twice.
    """
    asked: dict[tuple[str, str, str], list[Wanted]] = defaultdict(list)
    for want in sorted(wants, key=lambda want: want.perhaps):
        account.rows[want.kind]["dropped"] += 1
        asked[want.sha256, want.preset, want.path].append(want)
    there: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        picture = record["picture"]
        there[picture["sha256"], record["preset"], picture["path"]].append(record)
    pairs, lost, over = [], [], []
    for key in {**asked, **there}:
        pairs += list(zip(asked[key], there[key], strict=False))
        lost += asked[key][len(there[key]) :]
        over += there[key][len(asked[key]) :]
    for want in list(lost):  # one given back beside a newer file has a mark in its name
        again = next((record for record in over if is_same(record, want)), None)
        if again is not None:
            lost.remove(want)
            over.remove(again)
            pairs.append((want, again))
    for want in lost:
        account.rows[want.kind]["dropped" if want.perhaps else "lost"] += -1 if want.perhaps else 1
    lost = [want for want in lost if not want.perhaps]
    kinds = {(sha, preset): wants[0].kind for (sha, preset, _), wants in asked.items() if wants}
    strange = []
    for record in over:
        kind = kinds.get((record["picture"]["sha256"], record["preset"]))
        if kind is None:
            strange.append(record)
        else:
            account.rows[kind]["twice"] += 1
            account.faults.append(f"twice: {shown(record)}")
    return pairs, lost, strange


def is_same(record: Mapping[str, Any], want: Wanted) -> bool:
    """Whether a record is of the picture that was asked for, under a name with a mark."""
    path = unmarked(record["picture"]["path"])
    found = (record["picture"]["sha256"], record["preset"], path)
    return found == (want.sha256, want.preset, want.path)


def unmarked(path: str) -> str:
    """A path without the marks of having been given back beside newer files."""
    return re.sub(r"(-[0-9a-f]{8})+(\.\w+)$", r"\2", path)


def shown(record: Mapping[str, Any]) -> str:
    """A record in a line."""
    picture = record["picture"]
    return (
        f"{record['id'][:8]} {record['state']} of {picture['path']!r} after {record['preset']!r}, "
        f"{picture['sha256'][:8]}, {record['outputs']}: {record['reason']}"
    )


def check_record(
    record: Mapping[str, Any],
    want: Wanted,
    named: Mapping[str, Path],
    account: Account,
    cancelled: Collection[str],
) -> list[str]:
    """What is wrong with one job's verdict and files. cancelled: ids somebody asked for."""
    faults = []
    state, outputs = State(record["state"]), record["outputs"]
    if GIVEN_UP in (record["reason"] or ""):
        account.given_up += 1
    elif state is State.CANCELLED and record["id"] in cancelled:
        pass  # done would be right, too: it may have ended before
    elif want.verdict is not None and state is not want.verdict:
        faults.append(f"{want.kind} should be {want.verdict}: {shown(record)}")
    if set(outputs) != OUTPUTS.get(state):
        return [*faults, f"odd outputs: {shown(record)}"]
    missing = sorted(set(outputs.values()) - named.keys())
    if missing:
        return [*faults, f"missing {missing}: {shown(record)}"]
    if files.sha256_of(named[outputs["original"]]) != want.sha256:
        faults.append(f"the original has other bytes: {shown(record)}")
    if state is not State.DONE:
        if record["reason"].strip() not in named[outputs["reason"]].read_text():
            faults.append(f"the reason is not told: {shown(record)}")
        return faults
    try:
        with Image.open(named[outputs["result"]]) as result:
            result.load()
            if max(result.size) != record["recipe"]["size"]:
                faults.append(f"the result is {result.size}: {shown(record)}")
    except OSError as error:
        faults.append(f"the result does not decode: {error}: {shown(record)}")
    return faults


def check_ledger(studio: Studio, account: Account) -> None:
    """The ledger is sound and has nothing open."""
    with sqlite3.connect(studio.ledger_path) as ledger:
        (answer,) = ledger.execute("PRAGMA integrity_check").fetchone()
        unended = ledger.execute(
            "SELECT id FROM job WHERE state IN ('ready', 'running', 'publishing')"
        ).fetchall()
        unfiled = ledger.execute("SELECT path FROM picture WHERE state <> 'filed'").fetchall()
    ledger.close()
    if answer != "ok":
        account.faults.append(f"the ledger is damaged: {answer}")
    for path in unfiled:
        account.faults.append(f"a picture is not filed: {path[0]!r}")
    for (job_id,) in unended:
        account.faults.append(f"job {job_id[:8]} is not over")


def check_jobs(
    records: Sequence[Mapping[str, Any]], known: Iterable[Known], account: Account
) -> None:
    """The ledgers have the jobs that the records have, and each of them once.

    known: the jobs of the ledgers that are lost, too.  A retried one has no record any more.
    """
    jobs = {job.id: job.state for job in known if job.state != State.RETRIED}
    states = {record["id"]: record["state"] for record in records}
    for job_id in jobs.keys() | states.keys():
        if jobs.get(job_id) != states.get(job_id):
            account.faults.append(
                f"job {job_id[:8]} is {jobs.get(job_id)} in the ledger, its record says "
                f"{states.get(job_id)}"
            )
    for job_id, count in Counter(record["id"] for record in records).items():
        if count > 1:
            account.faults.append(f"job {job_id[:8]} has {count} records")


def check_outbox(
    studio: Studio,
    named: Mapping[str, Path],
    records: Iterable[Mapping[str, Any]],
    drops: Mapping[str, Sequence[Drop]],
    account: Account,
) -> None:
    """Nothing lies in the outbox but what records name, and sidecars."""
    accounted = {name for record in records for name in record["outputs"].values()}
    sidecars = {note for dropped in drops.values() for drop in dropped for note in drop.sidecars}
    for name in sorted(named.keys() - accounted):
        path = named[name]
        if path.suffix != ".yaml" or path.read_bytes() not in sidecars:
            account.faults.append(f"in the outbox and of no record: {name}")
    kept = {path.read_bytes() for path in named.values() if path.suffix == ".yaml"}
    back = {path.read_bytes() for path in studio.inbox.rglob("*.yaml")}
    account.sidecars_back = len(back & sidecars)
    for note in sidecars - kept - back:
        account.faults.append(f"a sidecar is gone: {note!r}")


def check_inbox(studio: Studio, drops: Mapping[str, Sequence[Drop]], account: Account) -> None:
    """In the inbox lies what must stay, and nothing else; nor does the claimed folder hold any.

    A sidecar may have been given back: where its picture was filed while the inbox was away.
    """
    sidecars = {note for dropped in drops.values() for drop in dropped for note in drop.sidecars}
    lying = {
        path.relative_to(studio.inbox)
        for path in studio.inbox.rglob("*")
        if path.is_symlink() or not path.is_dir()
        if not is_own(path, studio.inbox)
        if path.suffix != ".yaml" or path.read_bytes() not in sidecars
    }
    for kind, dropped in drops.items():
        for path in (path for drop in dropped for path in drop.stays):
            account.rows[kind]["dropped"] += 1
            there = path in lying
            account.rows[kind]["stayed" if there else "lost"] += 1
            if not there:
                account.faults.append(f"lost: {kind} {path} was to stay in the inbox")
            lying.discard(path)
    for path in sorted(lying):
        account.faults.append(f"left in the inbox: {files.printable(path)}")
    claimed = studio.inbox / ".claimed"
    for path in sorted(claimed.iterdir() if claimed.is_dir() else []):
        if not is_own(path, studio.inbox) and not any(inner.is_file() for inner in path.rglob("*")):
            account.faults.append(f"an empty folder is left in the inbox: .claimed/{path.name}")


def is_own(path: Path, inbox: Path) -> bool:
    """Whether that is a service's word on whose the claims are, which lies among them for good."""
    inner = path.relative_to(inbox).parts
    return inner[0] == CLAIMED_FOLDER and len(inner) > 1 and inner[1].startswith(".")


def check_state(studio: Studio, account: Account) -> None:
    """The spool is empty, and nothing half-written is left anywhere in the state folder."""
    spool = studio.state / "spool"
    left = [path for folder in ("jobs", "pictures") for path in (spool / folder).glob("*")]
    left += studio.state.rglob(f"{files.TEMPORARY_PREFIX}*")
    for path in sorted(set(left)):
        account.faults.append(f"left in the state folder: {path.relative_to(studio.state)}")


def whereabouts(studio: Studio, sha: str) -> str:
    """Where else the bytes of a picture lie."""
    return ", ".join(
        files.printable(path.relative_to(studio.root))
        for path in studio.root.rglob("*")
        if path.is_file() and not path.is_symlink() and files.sha256_of(path) == sha
    )
