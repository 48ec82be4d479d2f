# SPDX-License-Identifier: MIT
"""Writes what bench/run measured into docs/performance.md, with a picture."""
import json
import os
import platform
import re
import subprocess

import consumers

# Parts of bench/run, in the page's order.
PARTS = ("events", "bells", "library", "turn", "vchan", "crowd", "start", "test", "stories")
BEGIN, END = "<!-- %s: written by bench/run --write-page -->\n", "<!-- end of %s -->"
WIDTH, LABEL, BAR, LONGEST = 900, 330, 9, 420     # of the picture, in pixels


def target_of(row):
    if row["target"] is None:
        return "none"
    met = row["result"] <= row["target"] if row["at_most"] else row["result"] >= row["target"]
    return "%s %g: %s" % ("at most" if row["at_most"] else "at least", row["target"],
                          "met" if met else "**missed**")


def table(rows):
    lines = ["| what | measured | beside | that took | result | target |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        alone = row["against"] == "nothing"
        lines.append("| %s | %s | %s | %s | %.2f %s | %s |" % (
            row["what"].strip(), row["measured"], "" if alone else row["against"],
            "" if alone else row["reference"], row["result"], row["unit"], target_of(row)))
    return "\n".join(lines) + "\n"


def pieces_table(pieces, whole):
    lines = ["| piece | us |", "|---|---|"]
    lines += ["| %s | %.1f |" % piece for piece in pieces.items()]
    lines.append("| the rest: models, lock, copying, caches that others used | %.1f |"
                 % max(0.0, whole - sum(pieces.values())))
    return "\n".join([*lines, "| **map + unmap, in turn** | **%.1f** |" % whole]) + "\n"


def number(text):
    return float(text.split()[0])


def picture(rows):
    """Two bars for each row of microseconds: ours, and what it is measured beside."""
    rows = [row for row in rows if row["measured"].endswith(" us")]
    if not rows:
        return ""
    most = max(number(row[key]) for row in rows for key in ("measured", "reference"))
    height = 30 + len(rows) * (2 * BAR + 10)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif" font-size="11">' % (WIDTH, height),
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           '<text x="%d" y="16">microseconds: dark is gntsim, light is what stands beside it in '
           'the table</text>' % LABEL]
    for i, row in enumerate(rows):
        top = 26 + i * (2 * BAR + 10)
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>'
                   % (LABEL - 8, top + BAR + 4, row["what"].strip()))
        for j, (key, colour) in enumerate((("measured", "#1f4e79"), ("reference", "#a9c6e3"))):
            length = number(row[key]) / most * LONGEST
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
                       % (LABEL, top + j * BAR, length, BAR - 1, colour))
            out.append('<text x="%.1f" y="%d" font-size="9">%s</text>'
                       % (LABEL + length + 4, top + j * BAR + BAR - 1, row[key]))
    return "\n".join([*out, "</svg>"]) + "\n"


def replace(text, name, made):
    begin, end = BEGIN % name, END % name
    found = re.sub(re.escape(begin) + ".*?" + re.escape(end),
                   lambda _: begin + made + end, text, flags=re.S)
    assert begin in found, "docs/performance.md has no place for the " + name
    return found


def show(top, found):
    """The page of what was measured."""
    place = top / "docs"
    rows = [row for name in PARTS for row in found["parts"].get(name, [])]
    whole = [row for row in rows if row["what"] == "map + unmap, library, in turn, busy"]
    page = (place / "performance.md").read_text()
    page = replace(page, "host", "Linux %(kernel)s, %(cpus)d processors, load %(load).1f when it "
                                 "began.\n" % found)
    page = replace(page, "table", "\n" + table(rows) + "\n")
    if whole and found["pieces"]:
        page = replace(page, "pieces", "\n" + pieces_table(found["pieces"],
                                                           number(whole[0]["measured"])) + "\n")
    (place / "performance.md").write_text(page)
    (place / "performance.svg").write_text(picture(rows))


def write(top, bench, parts, seconds, only):
    """Measures and shows, after each part. A part that fails, or is left out, keeps the rows that
    it had."""
    file, failed = top / "docs" / "performance.json", 0
    found = json.loads(file.read_text()) if file.exists() else {"parts": {}, "pieces": {}}
    found.update(kernel=platform.release(), cpus=os.cpu_count(),
                 load=round(os.getloadavg()[0], 1))
    for name in [name for name in PARTS if not only or name in only]:
        print("bench: " + name, flush=True)
        try:
            found["parts"][name] = list(parts[name](bench, seconds))
            if name == "library":
                with consumers.others(busy=True):
                    found["pieces"] = consumers.pieces(bench)
        except (SystemExit, OSError, ValueError, subprocess.SubprocessError) as failure:
            print("bench: %s failed: %s" % (name, failure), flush=True)
            failed = 1
        file.write_text(json.dumps(found, indent=1) + "\n")
        show(top, found)
    return failed
