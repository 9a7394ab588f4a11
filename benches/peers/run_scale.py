#!/usr/bin/env python3
"""Measures what grows with the data, without any peer: ingest of many patches end to end beside its
floor, memory at a tenth and at all of them, and reading from a cold disk. Writes the tables `scale` and
`cold` of docs/benchmarks.md. Needs Python 3.11, a built chipmill, zstd, GNU time, and 20 GB of disk for
50,000 patches.

usage: benches/peers/run_scale.py [--patches N] [--archive N] [--rounds N] [--chipmill PATH] [--raw DIR]
                            [--work DIR] [--no-write]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import ROOT, cpu_of, output, read_alone, say
from tables import number, table, write_parts

ALL = 590_326
THREADS = (1, 2, 4, 16)
FOLDER = "BigEarthNet-v1.0"
LISTS = ("train", "val", "test", "patches_with_seasonal_snow", "patches_with_cloud_and_shadow")


class Scale:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.raw = args.raw or work / "raw"
        self.archive = work / "archive/BigEarthNet-S2.tar.zst"

    def prepare(self):
        sample = [self.args.chipmill, "sample"]
        if not self.raw.exists():
            say(f"{self.args.patches} synthetic patches")
            output([*sample, self.raw, "--layout", "v1", "--patches", self.args.patches])
        if not self.archive.exists():
            say(f"an archive of {self.args.archive}")
            flags = ["--layout", "v2", "--patches", self.args.archive, "--archive", "tar.zst"]
            output([*sample, self.archive.parent, *flags])

    def ingest(self, source, threads, limit=None):
        """(wall, CPU seconds, peak bytes) of an ingest; the store stays."""
        store, log = self.work / "store", self.work / "time"
        shutil.rmtree(store, ignore_errors=True)
        beside = source.parent
        lists = [beside / f"{name}.csv" for name in LISTS] + [beside / "metadata.parquet"]
        metadata = [a for path in lists if path.exists() for a in ("--metadata", path)]
        command = [self.args.chipmill, "ingest", source, *metadata, "--store", store, "--quiet"]
        command += ["--threads", threads, "--allow-subset"]
        command += ["--limit", limit] if limit else []
        wall, cpu = cpu_of(["/usr/bin/time", "-f", "%M", "-o", log, *command])
        return wall, cpu, int(log.read_text().split()[-1]) * 1024

    def form(self, name, source, patches):
        rounds = {1: [], 2: []}
        floors = []
        for number_of in range(self.args.rounds):
            say(f"{name}, round {number_of + 1}")
            floors.append(cpu_of(read_alone(source))[1])
            for threads, made in rounds.items():
                made.append(self.ingest(source, threads))
        middle = lambda threads, k: statistics.median(r[k] for r in rounds[threads])
        tenth = self.ingest(source, 2, patches // 10)[2]
        return {
            "patches": patches,
            "cpu_us": {t: 1e6 * middle(t, 1) / patches for t in rounds},
            "wall_s": {t: middle(t, 0) for t in rounds},
            "floor_us": 1e6 * statistics.median(floors) / patches,
            "peak": middle(2, 2),
            "peak_tenth": tenth,
        }

    def cold(self):
        """chips/s of the store that the last ingest left, by threads."""
        subprocess.run(["sync"], check=True)
        found = {}
        for threads in THREADS:
            say(f"cold, {threads} threads")
            read = [self.args.chipmill, "bench", "read", "--store", self.work / "store", "--drop-cache"]
            text = output([*read, "--threads", threads, "--repeats", self.args.rounds, "--json"])
            found[threads] = json.loads(text)
        return found


def scale(results):
    def row(name, form):
        one, two = form["cpu_us"][1], form["cpu_us"][2]
        wall = form["wall_s"]
        hours = lambda us: f"{ALL * us / 6e7:.1f}"
        return [
            name,
            number(form["patches"]),
            number(1e6 / one),
            f"{one:.0f}",
            f"{form['floor_us']:.0f} ({form['floor_us'] / one:.0%})",
            number(form["patches"] / wall[1]),
            number(form["patches"] / wall[2]),
            f"{wall[1] / wall[2]:.2f}",
            f"{form['peak_tenth'] / 1e6:.0f}, {form['peak'] / 1e6:.0f} MB",
            f"{hours(two)}; {hours(1e6 * wall[2] / form['patches'])}",
        ]

    head = [
        "ingest of", "patches", "patches per CPU-second", "us a patch", "floor, us (its share)",
        "patches/s, 1 thread", "2 threads", "times", "memory at a tenth, at all",
        f"minutes for {ALL:,}, extrapolated: CPU; wall",
    ]
    return table(head, [row(name, form) for name, form in results["forms"].items()])


def cold(results):
    def row(threads, r):
        disk = r["from_disk"]
        share = "not told" if disk is None else f"{disk:.0%}"
        return [str(threads), number(r["chips_per_s"]), f"{r['stored_bytes_per_s'] / 1e6:,.0f}", share]

    head = ["threads", "chips/s", "MB/s from the store", "of the bytes from storage"]
    return table(head, [row(t, r) for t, r in results["cold"].items()])


def about(results):
    m = results["machine"]
    loads = ", ".join(f"{load:.1f}" for load in results["loads"])
    return (
        f"{results['date']}; {m['cpu']}, {m['cores']} cores, {m['kernel']}; load before and after "
        f"{loads} (above 1: other work ran beside); medians of {results['rounds']} rounds."
    )


def load():
    return float(Path("/proc/loadavg").read_text().split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--patches", type=int, default=50_000)
    parser.add_argument("--archive", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chipmill", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--raw", type=Path, help="a v1 sample of --patches patches, if there is one")
    parser.add_argument("--work", type=Path, help="kept; else a temporary folder")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chipmill-scale-") as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        run, before = Scale(args, work), load()
        run.prepare()
        forms = {
            ".tar.zst (v2)": run.form("archive", run.archive, args.archive),
            "folders (v1)": run.form("folders", run.raw / FOLDER, args.patches),
        }
        read = run.cold()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "rounds": args.rounds,
        "machine": read[THREADS[0]]["machine"],
        "loads": [before, load()],
        "forms": forms,
        "cold": read,
    }
    print(json.dumps(results, indent=2))
    if not args.no_write:
        parts = {"scale-machine": about, "scale": scale, "cold": cold}
        write_parts(ROOT / "docs/benchmarks.md", results, parts)


if __name__ == "__main__":
    main()
