"""The page of the history of ci/nightly: one HTML file without anything from elsewhere."""
import html, os, time

import nightly_history

NIGHTS = 60
STYLE = """
:root { color-scheme: light dark; --bg: #f5f6f8; --card: #fff; --ink: #1a2029; --soft: #5b6573; --line: #dde1e7; --accent: #1f5fd0; --bad: #b3211a; --bad-bg: #fdeceb; --good: #1a6e37; --warn: #7a4f00 }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1a2028; --ink: #e6eaf0; --soft: #9aa6b5; --line: #2c3541; --accent: #77a8ff; --bad: #ff8d85; --bad-bg: #3a1d1d; --good: #6fd08c; --warn: #f0c060 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; max-width: 76rem; margin: 0 auto; padding: 1.2rem 1rem 3rem; background: var(--bg); color: var(--ink) }
h1 { font-size: 1.35rem; margin: 0 0 1rem } h2 { font-size: 1.05rem; margin: 0 0 .5rem } .soft, th, figcaption { color: var(--soft) }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; margin-bottom: 1rem; overflow-x: auto }
section.bad { border-color: var(--bad); background: var(--bad-bg) } .bad b, td.bad { color: var(--bad) } td.good, b.good { color: var(--good) } td.flaky { color: var(--warn) }
table { border-collapse: collapse; width: 100%; font-size: .9rem } td, th { padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line) } th { border: 0; font-weight: 600 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } td.w { white-space: nowrap; font-weight: 600 }
pre { white-space: pre-wrap; overflow-wrap: break-word; margin: 0; font: inherit } section.bad .soft, section.bad th { color: var(--ink) }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .4rem 1.4rem } figure { margin: 0; min-width: 0 } figcaption { font-size: .85rem } figcaption b { color: var(--ink); display: block; overflow-wrap: anywhere }
svg { width: 100%; max-width: 24rem; display: block; color: var(--accent) } details { margin-top: .3rem } summary { cursor: pointer } :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
section > * + h2 { margin-top: 1rem } ul { margin: 0; padding-left: 1.4rem } p { margin: .2rem 0 }
@media print { section { break-inside: avoid } }
"""
WORDS = {0: ("good", "✓ in order"), 1: ("bad", "✗ not in order"), None: ("bad", "… not at its end")}


def shown(value):
    """A number as people read it: thousands apart, no more digits than say something."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def curve(name, points):
    """A measure over the nights, with its last, least and greatest value, and what has changed since the night before."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    wide = (high - low) or 1
    at = lambda index, value: (8 + 284 * index / max(1, len(points) - 1), 62 - 52 * (value - low) / wide if high != low else 36)
    places = [at(index, value) for index, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>night {night}: {shown(value)}</title></circle>'
                   for (x, y), (night, value) in zip(places, points))
    last = values[-1]
    step = last - values[-2] if len(values) > 1 else 0
    percent = f" ({100 * step / abs(values[-2]):+.1f} %)" if values[-2:-1] and values[-2] and abs(step / values[-2]) >= 0.0005 else ""
    since = f", {'▲' if step > 0 else '▼'} {shown(abs(step))}{percent} since the night before" if step else ""
    extent = f", from {shown(low)} to {shown(high)}" if high != low else ", always the same" if len(values) > 1 else ""
    words = html.escape(f"{shown(last)}{since}{extent}")
    return (f'<figure><figcaption><b>{html.escape(name)}</b>{words}</figcaption>'
            f'<svg viewBox="0 0 300 72" role="img" aria-label="{html.escape(name)}: {words}">'
            f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
            f'<g fill="currentColor">{dots}</g></svg></figure>')


class Html(str):
    """Text that is HTML already."""


def grouped(rows):
    """Rows of the same change as one: the first one's text is open, the others are folded."""
    word, since, where, trace, text, change = rows[0]
    if len(rows) == 1:
        return word, since, where, trace, text
    others = "".join(f"<li>{html.escape(row[3])}<pre>{html.escape(row[4])}</pre></li>" for row in rows[1:])
    what = Html(f"<b>{html.escape(change)}</b><pre>{html.escape(text)}</pre>"
                f"<details><summary>the same in {len(rows) - 1} more</summary><ul>{others}</ul></details>")
    return word, since, where, f"{trace} and {len(rows) - 1} more", what


def cell(value):
    if isinstance(value, Html):
        return f"<td>{value}</td>"
    if isinstance(value, tuple):
        return f'<td class="w {value[0]}">{html.escape(value[1])}</td>'
    if isinstance(value, (int, float)):
        return f'<td class="n">{shown(value)}</td>'
    return f"<td><pre>{html.escape(str(value))}</pre></td>"


def table(heads, rows):
    numbers = [bool(rows) and all(row[n] == "" or isinstance(row[n], (int, float)) for row in rows) for n in range(len(heads))]
    head = "".join(f'<th scope="col"{" class=n" if number else ""}>{html.escape(word)}</th>' for word, number in zip(heads, numbers))
    return f"<table><thead><tr>{head}</tr></thead><tbody>" + "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows) + "</tbody></table>"


def section(title, *parts, cls=""):
    return f'<section{f" class={cls}" if cls else ""}><h2>{html.escape(title)}</h2>{"".join(parts)}</section>'


def last_night(db, night):
    """What is not in order in `night`, and what of it is new since the one before of the same form and part."""
    number, status = night[0], night[6]
    known = {row[:2]: row[2] for row in db.execute("select cell, trace, text from problem where night = ?",
                                                   (nightly_history.last_of(db, number),))}
    rows = []
    # Good traces come first; those in which the same changed are one row.
    for flaky, cell_name, trace, text, change in db.execute(
            "select flaky, cell, trace, text, change from problem where night = ? order by flaky, cell, trace like 'traces/bad/%', rowid", (number,)):
        word = ("flaky", "~ flaky") if flaky else ("bad", "✗ not in order")
        before = known.get((cell_name, trace))
        since = "new" if before is None else "still" if nightly_history.same(before, text) else "still, otherwise"
        rows.append((word, since, cell_name, trace, text, change))
    rows = [grouped(group) for group in nightly_history.together(rows, lambda row: row[5] and (*row[:3], row[5]))]
    missed = [(name,) for (name,) in db.execute("select name from fault where night = ? and not caught order by name", (number,))]
    parts = [table(["", "since the night before", "where", "trace", "what"], rows) if rows else "<p>Nothing to look at.</p>"]
    if missed:
        parts.append("<h2>Faults that nothing caught</h2>" + table(["fault"], missed))
    # The table above has what is not in order now.
    news = [line.strip() for line in nightly_history.news(db, number).splitlines()[1:]]
    news = [line for line in news if not line.startswith(("new", "still there"))]
    before = nightly_history.last_of(db, number)
    if news:
        parts.append(f"<h2>What else is new{f' since night {before}' if before else ''}</h2><ul>"
                     + "".join(f"<li>{html.escape(line)}</li>" for line in news) + "</ul>")
    else:
        parts.append(f"<p>Nothing else is new since night {before}.</p>" if before else "<p>The first night of this form.</p>")
    cls, word = WORDS[status]
    return section(f"Night {number}: {word}", *parts, cls="bad" if cls == "bad" else "")


def write(db, path):
    """Writes the page of `db` to `path`, whole or not at all."""
    nights = db.execute("select id, started, revision, form, part, seconds, status from night order by id desc limit ?", (NIGHTS,)).fetchall()
    parts = ["<!doctype html><html lang=en><head><meta charset=utf-8>",
             "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">",
             '<meta name=viewport content="width=device-width, initial-scale=1"><link rel=icon href="data:,">',
             f"<title>Parallax, night by night</title><style>{STYLE}</style></head><body><h1>Parallax, night by night</h1>"]
    if not nights:
        parts.append(section("No night yet", "<p>ci/nightly --short makes one.</p>"))
    else:
        last = nights[0][0]
        parts.append(last_night(db, nights[0]))
        for form, part in db.execute("select distinct form, part from night order by form, part").fetchall():
            first = nights[-1][0]
            points = {}
            for night, name, value in db.execute("select id, measure.name, value from measure join night on night = id where form = ? "
                                                 "and part = ? and id >= ? order by measure.name, id", (form, part, first)):
                points.setdefault(name, []).append((night, value))
            # What there is one of each operation comes last, folded: there are many.
            each = {name: points.pop(name) for name in list(points) if name.startswith("instructions of ")}
            curves = lambda some: f'<div class=curves>{"".join(curve(name, values) for name, values in some.items())}</div>'
            folded = f"<details open><summary>Instructions of each operation at EL2</summary>{curves(each)}</details>" if each else ""
            if points or each:
                parts.append(section(f"Trend: {form}, part {part}", curves(points), folded))
        rows = db.execute("select status, name, traces, operations, round(seconds, 1) from cell where night = ?", (last,)).fetchall()
        # Whether a step is in order is for what is known of it to say: of some another exit status than 0 is right.
        problems = dict(db.execute("select cell, min(flaky) from problem where night = ? group by cell", (last,)))
        words = lambda name: {None: ("good", "✓ in order"), 1: ("flaky", "~ flaky"), 0: ("bad", "✗ not in order")}[problems.get(name)]
        qemus = ", ".join(row[0] for row in db.execute("select version from qemu where night = ? order by version", (last,)))
        of = ", ".join(row[0] for row in db.execute("select part from part where night = ? order by part", (last,)))
        on = (f"QEMU {qemus}" if qemus else "") + (f"; put together of the parts {of}" if of else "")
        parts.append(section(f"What night {last} ran", f"<p class=soft>{html.escape(on)}</p>" if on else "", table(["", "what", "traces", "operations", "seconds", "exit status"],
                                                            [(words(name), name, traces or "", operations or "", seconds, status)
                                                             for status, name, traces, operations, seconds in rows])))
        when = lambda seconds: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
        count = lambda night, flaky: db.execute("select count(*) from problem where night = ? and flaky = ?", (night, flaky)).fetchone()[0]
        parts.append(section("Nights", table(["night", "", "begun", "revision", "form", "part", "seconds", "not in order", "flaky"], [
            (night, WORDS[status], when(started), revision, form, part, round(seconds or 0), count(night, 0), count(night, 1))
            for night, started, revision, form, part, seconds, status in nights])))
    draft = path.with_suffix(".part")
    draft.write_text("".join(parts) + "</body></html>\n")
    os.replace(draft, path)
