#!/usr/bin/env python3
"""How long an ingest takes on 1 to 64 machines: a simulation from measured pieces. Rewrites the tables of docs/scaling.md.

    measure.py --part plan ... > plan.json;  measure.py --part units ... > units.json
    model.py plan.json units.json            prints nothing; the tables lie between the page's marks
    model.py --check plan.json units.json    says whether the page is what it would write

Everything that is assumed and not measured stands in STORAGES and ASSUMED, and on the page.
"""

import heapq
import json
import math
import os
import random
import sys

PAGE = os.path.join(os.path.dirname(__file__), "../../docs/scaling.md")
NODES = [1, 2, 4, 8, 16, 32, 64]
SHARD = 1024
# What a real patch weighs: 12 files of v2, and a stored patch (docs/tutorial.md, 400 real patches).
BYTES_IN, BYTES_OUT, FILES = 164_000, 110_000, 12

ASSUMED = {
    "cores": 16,  # of a machine, one task on each
    "start": 1.0,  # seconds in which an engine starts a task
    "units_per_task": 4,
    "sigma": 0.15,  # of the logarithm of a task's time
    "slow_share": 0.02,  # of tasks, which take
    "slow": 3.0,  # times as long
    "lost_share": 0.01,  # of tasks, which are lost half way and begun again after
    "pause": 5.0,  # seconds
}

# name, latency of opening a file, opens a second of all machines together, bytes a second read and written
STORAGES = [
    ("an NFS server", 1e-3, 20_000, 1.0e9, 0.5e9),
    ("a parallel file system", 0.5e-3, 100_000, 20e9, 10e9),
    ("no limits but processors", 0.0, math.inf, math.inf, math.inf),
]


def pieces(plan, units):
    """Measured seconds: of a patch, of a task besides, of plan and of finalize, each by the number of patches."""
    whole = plan["plan"][0]
    one = [run for run in units["units"] if run["processes"] == 1]
    best = min(one, key=lambda run: run["cpu_seconds"])
    per_patch = (best["cpu_seconds"] - best["units"] * best["task"]["cpu_seconds"]) / (best["units"] * best["unit_patches"])
    small, large = best["task"]["cpu_seconds"], whole["task"]["cpu_seconds"]
    return {
        "patch": per_patch,
        "task": lambda patches: small + (large - small) * patches / whole["patches"],
        "plan": lambda patches: whole["plan"]["cpu_seconds"] * patches / whole["patches"],
        "finalize": lambda patches: (best["finalize"]["cpu_seconds"] - small) * patches / best["patches"],
    }


def simulate(durations, slots, rng):
    """List scheduling of tasks in their order, some slow, some lost: seconds until the last one ends."""
    free = [0.0] * min(slots, len(durations))
    heapq.heapify(free)
    end = 0.0
    for seconds in durations:
        seconds *= math.exp(rng.gauss(0, ASSUMED["sigma"]) - ASSUMED["sigma"] ** 2 / 2)
        if rng.random() < ASSUMED["slow_share"]:
            seconds *= ASSUMED["slow"]
        if rng.random() < ASSUMED["lost_share"]:
            seconds += seconds / 2 + ASSUMED["pause"]
        done = heapq.heappop(free) + ASSUMED["start"] + seconds
        heapq.heappush(free, done)
        end = max(end, done)
    return end


def predict(made, patches, nodes, storage):
    """Seconds of plan, work and finalize."""
    _, latency, opens, read, write = storage
    slots = nodes * ASSUMED["cores"]
    units = math.ceil(patches / SHARD)
    size = ASSUMED["units_per_task"]
    tasks = math.ceil(units / size)
    alone = made["patch"] + FILES * latency
    of_task = [min(size * SHARD, patches - t * size * SHARD) * alone for t in range(tasks)]
    free = simulate([made["task"](patches) + seconds for seconds in of_task], slots, random.Random(patches))
    # However many machines want them, the storage gives no more than its rates.
    work = max(free, patches * FILES / opens, patches * BYTES_IN / read, patches * BYTES_OUT / write)
    # Plan lists a folder a patch, with all cores of one machine; finalize is one process.
    plan = made["plan"](patches) + patches * max(2 * latency / ASSUMED["cores"], 2 / opens)
    return plan, work, made["finalize"](patches) + units * 6 * latency


def seconds(value):
    if value >= 5400:
        return f"{value / 3600:.1f} h"
    return f"{value / 60:.1f} min" if value >= 90 else f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def measured_plans(plan):
    rows = []
    for found in plan["plan"]:
        p, t = found["plan"], found["task"]
        rows.append([
            {"v2": "v2, the official tables", "v1": "v1, as many generated names"}[found["layout"]], f"{found['patches']:,}", f"{found['units']:,}",
            f"{p['cpu_seconds']:.1f} s", f"{p['seconds']:.1f} s", f"{p['peak_bytes'] / 1e6:.0f} MB", f"{found['plan_json_bytes'] / 1e6:.0f} MB",
            f"{t['cpu_seconds']:.2f} s", f"{t['peak_bytes'] / 1e6:.0f} MB",
        ])
    return table(["data set", "patches", "units", "plan, CPU", "plan, wall", "plan, peak memory", "plan.json", "a task besides its units, CPU", "its peak memory"], rows)


def measured_units(units):
    """What was measured, and what the model says of it from the runs of one process alone."""
    one, two = ([run for run in units["units"] if run["processes"] == n] for n in (1, 2))
    of_unit = min(run["cpu_seconds"] / run["units"] for run in one)
    rows = []
    for runs in (one, two):
        processes, count = runs[0]["processes"], runs[0]["units"]
        wall, cpu = min(run["seconds"] for run in runs), min(run["cpu_seconds"] for run in runs)
        predicted = math.ceil(count / processes) * of_unit
        rows.append([
            str(processes), f"{count} of {runs[0]['unit_patches']} patches", f"{cpu:.2f} s", f"{wall:.2f} s", f"{predicted:.2f} s", f"{wall / predicted:.2f}",
        ])
    return table(["processes", "units", "CPU", "wall, measured", "wall, predicted", "measured / predicted"], rows)


def predictions(made, patches):
    found = {(n, s): predict(made, patches, n, s) for n in NODES for s in STORAGES}
    rows = []
    for nodes in NODES:
        row = [str(nodes)]
        for storage in STORAGES:
            total = sum(found[nodes, storage])
            row.append(f"{seconds(total)} ({sum(found[1, storage]) / total:.1f}x)")
        rows.append(row)
    of_steps = ["of it plan and finalize"]
    for storage in STORAGES:
        plan, _, finalize = found[1, storage]
        of_steps.append(f"{seconds(plan)} and {seconds(finalize)}")
    return table(["machines", *(name for name, *_ in STORAGES)], [*rows, of_steps])


def assumptions():
    rows = []
    for name, latency, opens, read, write in STORAGES:
        gigabytes = lambda rate: "no limit" if math.isinf(rate) else f"{rate / 1e9:g} GB/s"
        rows.append([name, f"{latency * 1e3:g} ms", "no limit" if math.isinf(opens) else f"{opens:,}", gigabytes(read), gigabytes(write)])
    return table(["storage", "opening a file", "opens a second, all machines", "read, all machines", "written, all machines"], rows)


def pieces_in_words(made, plan):
    patches = plan["plan"][0]["patches"]
    rows = [
        ["a patch: decode, count, encode", f"{made['patch'] * 1e6:.0f} us of CPU"],
        [f"a task besides, {patches:,} patches planned", f"{made['task'](patches):.2f} s of CPU"],
        ["a unit of 1,024 patches", f"{made['patch'] * SHARD:.2f} s of CPU"],
        ["finalize", f"{made['finalize'](1000) * 1e3:.0f} ms of CPU per 1,000 patches"],
        ["all units of v2 on one core", seconds(made["patch"] * patches)],
    ]
    return table(["piece", "measured"], rows)


def tables(plan, units):
    made = pieces(plan, units)
    machine = units["machine"]
    return {
        "machine": f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.0f} when it began.",
        "plans": measured_plans(plan),
        "units": measured_units(units),
        "pieces": pieces_in_words(made, plan),
        "storages": assumptions(),
        "model-1": predictions(made, 549_488),
        "model-10": predictions(made, 5_494_880),
    }


def rewritten(page, found):
    for name, text in found.items():
        begin, end = f"<!-- {name}: benches/scaling/model.py -->", f"<!-- end of {name} -->"
        before, rest = page.split(begin)
        page = before + begin + "\n" + text + "\n" + end + rest.split(end)[1]
    return page


def main(arguments):
    check = arguments[:1] == ["--check"]
    plan, units = (json.load(open(path)) for path in arguments[check:])
    with open(PAGE) as file:
        page = file.read()
    new = rewritten(page, tables(plan, units))
    if check:
        sys.exit("docs/scaling.md is not what model.py writes" if new != page else 0)
    with open(PAGE, "w") as file:
        file.write(new)


if __name__ == "__main__":
    main(sys.argv[1:])
