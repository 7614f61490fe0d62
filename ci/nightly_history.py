"""The history of ci/nightly: who may write to it, what is new in it, and the parts of a night put together."""
import fcntl, re, sqlite3
from pathlib import Path

TABLES = (Path(__file__).resolve().parent / "nightly.sql").read_text()
OF_A_NIGHT = ["qemu", "cell", "problem", "fault", "measure"]
# What the same revision gives again, so that a change of it has a cause; all else is measured in seconds.
REPEATABLE = ("instructions of", "lines", "faults")


class Busy(Exception):
    """Another process writes to the same history."""


class Unfit(Exception):
    """What was given is no part of a night, or not of the same one."""


def read(folder):
    """The history in `folder`. Each statement is committed at once: what a killed night did stays."""
    folder.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(folder / "history.sqlite", isolation_level=None)
    db.executescript(TABLES)
    # A history of before there was that column.
    if "change" not in [row[1] for row in db.execute("pragma table_info(problem)")]:
        db.execute("alter table problem add column change text not null default ''")
    return db


def write(folder):
    """The same, for this process alone: gives it and what holds the lock, which ends with the process however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"another night is at work in {folder}: wait for it, or give this one a --results of its own") from None
    return read(folder), lock


def same(text, other):
    """Whether two texts of a problem say the same. What each side says at the place of a finding, in brackets behind it, is shown
    and not compared: a neighbour changes it."""
    without = lambda text: re.sub(r" \[(?:cpu|smmu|page|el2|ste|device): .*", "", text)
    return without(text) == without(other)


def together(rows, key):
    """Rows with the same `key` together, in the order in which they come first; those without one each alone."""
    groups = {}
    for row in rows:
        groups.setdefault(key(row) or row, []).append(row)
    return list(groups.values())


def last_of(db, night):
    """The last night before `night` of its form and part that got to its end."""
    form, part = db.execute("select form, part from night where id = ?", (night,)).fetchone()
    return db.execute("select max(id) from night where id < ? and form = ? and part = ? and seconds is not null",
                      (night, form, part)).fetchone()[0]


def killed(db, night):
    """Those since then that did not get to their end."""
    form, part = db.execute("select form, part from night where id = ?", (night,)).fetchone()
    rows = db.execute("select id from night where id < ? and id > ? and form = ? and part = ? and seconds is null",
                      (night, last_of(db, night) or 0, form, part))
    return [row[0] for row in rows]


def news(db, night):
    """What is not in order now and was (or was not there) last night, and the other way round, as lines of text."""
    last = last_of(db, night)
    problems = lambda which: {row[:2]: row[2:] for row in db.execute(
        "select cell, trace, text, flaky, change from problem where night = ?", (which,))}
    now, before = problems(night), problems(last) if last else {}
    lines = [f"night {which} did not get to its end" for which in killed(db, night)]
    for kind, some in [("new", now.keys() - before.keys()), ("still there", now.keys() & before.keys()),
                       ("gone", before.keys() - now.keys())]:
        rows = []
        # Good traces first.
        for key in sorted(some, key=lambda key: (key[0], "/bad/" in key[1], key[1])):
            text, flaky, change = now.get(key) or before[key]
            changed = kind == "still there" and not (same(now[key][0], before[key][0]) and now[key][1] == before[key][1])
            words = f"{kind}{', otherwise than before' if changed else ''}{', flaky' if flaky else ''}: {key[0]}: "
            rows.append((words, change, key[1], text.splitlines()[0]))
        for (words, change, trace, text), *more in together(rows, lambda row: row[1] and row[:2]):
            lines.append(f"{words}{trace} and {len(more)} more: {change}" if more else f"{words}{trace}: {text}")
    names = lambda table, which: {row[0] for row in db.execute(f"select {table} from {table.split('.')[0]} where night = ?",
                                                               (which,))}
    for table, what in [("cell.name", "what was run"), ("qemu.version", "QEMU")] if last else []:
        missing, more = names(table, last) - names(table, night), names(table, night) - names(table, last)
        lines += [f"{what}, no longer: {name}" for name in sorted(missing)]
        lines += [f"{what}, new: {name}" for name in sorted(more)]
    measures = lambda which: dict(db.execute("select name, value from measure where night = ?", (which,)))
    now, before = measures(night), measures(last) if last else {}
    for name in sorted(now.keys() & before.keys()):
        if name.startswith(REPEATABLE) and now[name] != before[name]:
            lines.append(f"changed: {name}: {before[name]:.6g} -> {now[name]:.6g}")
    since = f"since night {last}" if last else "the first night of this form"
    return f"{since}: " + ("nothing is new" if not lines else "") + "".join(f"\n  {line}" for line in lines)


def totals(db, night):
    """Measures that are sums over the night."""
    operations, seconds = db.execute(
        "select sum(operations), sum(seconds) from cell where night = ? and traces > 0 and operations > 0", (night,)).fetchone()
    caught, faults = db.execute("select sum(caught), count(*) from fault where night = ?", (night,)).fetchone()
    sums = {"operations a second": operations and operations / seconds,
            "faults caught": caught if faults else None, "faults tried": faults or None}
    for name, value in sums.items():
        db.execute("delete from measure where night = ? and name = ?", (night, name))
        if value is not None:
            db.execute("insert into measure values (?,?,?)", (night, name, value))


def merge(db, folders):
    """Puts the last nights of the histories in `folders`, which are the parts of one night, together as a night of `db`.

    Gives the night's id and the parts that are missing or did not get to their ends.
    """
    found, of = {}, set()
    for folder in folders:
        if not (folder / "history.sqlite").is_file():
            raise Unfit(f"{folder} has no history.sqlite")
        part = sqlite3.connect(f"file:{folder / 'history.sqlite'}?mode=ro", uri=True)
        row = part.execute("select id, started, revision, form, part, seconds, status from night "
                           "order by id desc limit 1").fetchone()
        if not row:
            raise Unfit(f"no night in {folder}")
        number, parts = row[4].split("/")
        if number in found:
            raise Unfit(f"part {row[4]} twice: {found[number][0]} and {folder}")
        found[number] = folder, part, row
        of.add((row[2], row[3], int(parts)))
    if len(of) != 1:
        raise Unfit("not the parts of one night (revision, form, parts): " + "; ".join(map(str, sorted(of))))
    revision, form, parts = of.pop()
    rows = [row for _, _, row in found.values()]
    missing = [f"part {number}/{parts} " + ("did not get to its end" if str(number) in found else "is missing")
               for number in range(1, parts + 1)
               if str(number) not in found or found[str(number)][2][5] is None]
    started = min(row[1] for row in rows)
    # The same parts again: as if for the first time.
    for (old,) in db.execute("select distinct night from part join night on night = id where part.part = ? and "
                             "part.started = ? and revision = ?", (rows[0][4], rows[0][1], revision)).fetchall():
        for table in ["part", *OF_A_NIGHT]:
            db.execute(f"delete from {table} where night = ?", (old,))
        db.execute("delete from night where id = ?", (old,))
    bad = bool(missing) or any(row[6] for row in rows)
    night = db.execute("insert into night(started, revision, form, part) values (?,?,?,'1/1')",
                       (started, revision, form)).lastrowid
    for _, part, row in found.values():
        db.execute("insert into part values (?,?,?)", (night, row[4], row[1]))
        for table in OF_A_NIGHT:
            for values in part.execute(f"select * from {table} where night = ?", (row[0],)):
                marks = ",".join("?" * len(values))
                if table == "fault":
                    db.execute("insert into fault values (?,?,?) on conflict do update set caught = min(caught, excluded.caught)",
                               (night, *values[1:]))
                else:
                    db.execute(f"insert or ignore into {table} values ({marks})", (night, *values[1:]))
    totals(db, night)
    if not missing:
        db.execute("update night set seconds = ?, status = ? where id = ?", (max(row[5] for row in rows), int(bad), night))
    return night, missing
