"""The page of the history of ci/nightly: one HTML file without anything from elsewhere."""
import html, os, time

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } pre { white-space: pre-wrap; margin: 0 }
svg { width: 30rem; max-width: 100%; height: 7rem; overflow: visible } figure { display: inline-block; margin: 0 2rem 1rem 0 }
"""


def curve(name, points):
    """A measure over the nights, with its last, least and greatest value."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    wide = (high - low) or 1
    at = lambda index, value: (10 + 460 * index / max(1, len(points) - 1), 90 - 80 * (value - low) / wide)
    places = [at(index, value) for index, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>night {night}: {value:.6g}</title></circle>'
                   for (x, y), (night, value) in zip(places, points))
    return (f'<figure><figcaption><b>{html.escape(name)}</b>: {values[-1]:.6g} (from {low:.6g} to {high:.6g})</figcaption>'
            f'<svg viewBox="0 0 480 100" role="img" aria-label="{html.escape(name)}"><polyline points="{line}" fill="none" '
            f'stroke="currentColor"/><g fill="currentColor">{dots}</g></svg></figure>')


def table(heads, rows):
    cell = lambda value: (f'<td class="n">{value:.6g}</td>' if isinstance(value, (int, float))
                          else f"<td><pre>{html.escape(str(value))}</pre></td>")
    head = "".join(f"<th>{html.escape(word)}</th>" for word in heads)
    return f"<table><tr>{head}</tr>" + "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows) + "</table>"


def write(db, path):
    """Writes the page of `db` to `path`, whole or not at all."""
    nights = db.execute("select id, started, revision, form, part, seconds, status from night order by id desc limit 60").fetchall()
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Parallax, night by night</title>",
             f"<style>{STYLE}</style><h1>Parallax, night by night</h1>"]
    if nights:
        last = nights[0][0]
        problems = db.execute("select case flaky when 1 then 'flaky' else 'not in order' end, cell, trace, text "
                              "from problem where night = ?", (last,)).fetchall()
        parts.append(f"<h2>Night {last}: {'in order' if nights[0][6] == 0 else 'not in order or not at its end'}</h2>")
        parts.append(table(["", "where", "trace", "what"], problems) if problems else "<p>Nothing to look at.</p>")
        missed = db.execute("select name from fault where night = ? and not caught", (last,)).fetchall()
        parts.append(table(["faults that nothing caught"], missed) if missed else "")
        for form, part in db.execute("select distinct form, part from night order by form, part").fetchall():
            parts.append(f"<h2>Trend, {form}, part {part}</h2>")
            for (name,) in db.execute("select distinct measure.name from measure join night on night = id "
                                      "where form = ? and part = ? order by 1", (form, part)).fetchall():
                points = db.execute("select id, value from measure join night on night = id where form = ? and part = ? "
                                    "and measure.name = ? order by id", (form, part, name)).fetchall()
                parts.append(curve(name, points))
        parts.append(f"<h2>What night {last} ran</h2>")
        parts.append(table(["", "traces", "operations", "seconds", "exit status"], db.execute(
            "select name, traces, operations, round(seconds, 1), status from cell where night = ?", (last,)).fetchall()))
    parts.append("<h2>Nights</h2>")
    when = lambda seconds: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    words = {0: "in order", 1: "not in order", None: "not at its end"}
    parts.append(table(["", "", "revision", "form", "part", "seconds", ""], [
        (night, when(started), revision, form, part, round(seconds or 0), words[status])
        for night, started, revision, form, part, seconds, status in nights]))
    draft = path.with_suffix(".part")
    draft.write_text("".join(parts) + "</html>\n")
    os.replace(draft, path)
