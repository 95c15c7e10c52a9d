#!/usr/bin/env python3
"""Draws the charts of the benchmarks' results: python3 benches/report.py

It reads results/latest.csv (written by `compare -- --save`) and results/scale.csv (written by
`scale -- --save`), and writes results/chart.svg and results/scale.svg.
"""

import csv
import math
import pathlib

RESULTS = pathlib.Path(__file__).parent / "results"
# Plain threads would make the chart's scale several times longer.
CHARTED = ["go", "may", "tokio"]
COLORS = ["#0072b2", "#d98200", "#009e73", "#b5548c", "#6a51a3"]
STYLE = """text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:17px}
.ground{fill:#fff}.grid{stroke:#d1d9e0}.ours{stroke:#1f2328;stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.ground{fill:#0d1117}.grid{stroke:#3d444d}
.ours{stroke:#f0f6fc}}"""


def rows(name):
    with open(RESULTS / name, newline="") as file:
        return list(csv.DictReader(file))


def text(x, y, words, anchor="start", kind=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2, kind="grid"):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def log_scale(values, start, end):
    """Maps values to places, and lists the ticks: 1, 2 and 5 times the powers of ten."""
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values)))
    powers = range(round(math.log10(low)), round(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5) if m * 10.0**p <= high * 1.001]
    place = lambda v: start + (end - start) * math.log(v / low) / math.log(high / low)
    return place, ticks


def save(name, title, height, parts):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" width="860" '
        f'height="{height}" role="img">\n<title>{title}</title>\n<style>{STYLE}</style>\n'
        f'<rect class="ground" width="860" height="{height}"/>\n'
    )
    body = [text(20, 32, title, kind="title")] + parts
    (RESULTS / name).write_text(head + "\n".join(body) + "\n</svg>\n")


def workloads():
    times = {}
    for row in rows("latest.csv"):
        # A file may hold several numbers of workers: each is a row of its own.
        key = row["workload"] + (f" ({row['workers']} workers)" if row["workers"] != "2" else "")
        ns = float(row["median_ns"]) if row["median_ns"] else None
        times.setdefault(key, {})[row["peer"]] = ns
    multiples = {
        name: [of[peer] / of["ours"] if of.get(peer) else None for peer in CHARTED]
        for name, of in times.items()
        if of.get("ours")
    }
    x, ticks = log_scale([m for ms in multiples.values() for m in ms if m], 150, 790)
    bottom = 90 + 50 * len(multiples)
    parts = [line(x(tick), 80, x(tick), bottom) for tick in ticks]
    parts += [text(x(tick), bottom + 18, f"{tick:g}×", "middle") for tick in ticks]
    for i, peer in enumerate(CHARTED):
        parts.append(f'<rect fill="{COLORS[i]}" x="{150 + 80 * i}" y="50" width="12" height="12"/>')
        parts.append(text(168 + 80 * i, 60, peer))
    for group, (name, peers) in enumerate(multiples.items()):
        top = 90 + 50 * group
        parts.append(text(136, top + 24, name, "end"))
        for i, multiple in enumerate(peers):
            y = top + 14 * i
            if multiple is None:
                parts.append(text(x(1) + 6, y + 10, "no figure"))
                continue
            left, width = min(x(1), x(multiple)), max(abs(x(multiple) - x(1)), 2)
            parts.append(
                f'<rect fill="{COLORS[i]}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="11"/>'
            )
            parts.append(text(max(x(1), x(multiple)) + 6, y + 10, f"{multiple:.2f}×"))
    parts.append(line(x(1), 80, x(1), bottom, "ours"))
    save("chart.svg", "Time of an operation as a multiple of ours", bottom + 34, parts)


def scale():
    points = {}
    for row in rows("scale.csv"):
        points.setdefault(row["operation"], {})[int(row["goroutines"])] = row
    sizes = sorted({n for of in points.values() for n in of})
    cpu = {name: {n: float(row["cpu_ns"]) for n, row in of.items()} for name, of in points.items()}
    x, _ = log_scale(sizes, 96, 730)
    y, ticks = log_scale([ns for of in cpu.values() for ns in of.values()], 400, 60)
    parts = [line(96, y(tick), 730, y(tick)) for tick in ticks]
    parts += [text(86, y(tick) + 4, f"{tick:,.0f} ns", "end") for tick in ticks]
    parts += [text(x(n), 420, f"{n:,}", "middle") for n in sizes]
    parts.append(text(413, 446, "goroutines", "middle"))
    free = 0
    downwards = sorted(cpu.items(), key=lambda item: y(item[1][sizes[-1]]))
    for color, (name, of) in zip(COLORS, downwards):
        places = " ".join(f"{x(n):.1f},{y(ns):.1f}" for n, ns in sorted(of.items()))
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{places}"/>')
        # Names do not lie on each other.
        free = max(free + 15, y(of[sizes[-1]]) + 4)
        parts.append(text(742, free, name))
    save("scale.svg", "CPU time of an operation by the number of goroutines", 470, parts)


workloads()
scale()
