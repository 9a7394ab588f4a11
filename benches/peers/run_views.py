#!/usr/bin/env python3
"""Measures chipmill's augmentation and loader beside their peers, interleaved in one run, and writes the
tables of docs/benchmarks.md. Needs Python 3.11, a built chipmill (target/release) and 2 GB of disk.

usage: benches/peers/run_views.py [--patches N] [--rounds N] [--seconds S]
                                  [--chipmill PATH] [--crates-only PATH] [--no-write]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tables_views
from common import HERE, LAYOUT, ONE_THREAD, ROOT, middle, output, python, say

REQUIREMENTS = "requirements-torch.txt"
AUGMENT = ("torchvision", "kornia", "albumentations", "opencv")
LOADERS = {"loader-rasterio": LAYOUT, "loader-zarr": "store"}
# What chipmill is asked for beside policy `peers`: name -> flags of `bench augment`.
NOTES = {
    "notes": ["--policy", "notes"],
    "notes rgb": ["--policy", "notes", "--bands", "rgb"],
    "notes 32 px": ["--policy", "notes", "--side", 32],
}
# Types of the values that loaders are measured with.
DTYPES = ("f32", "f16", "bf16")
# Libraries whose blur and noise clip to 0 .. 1, so that their views differ.
CLIPS = ("albumentations",)


class Run:
    def __init__(self, args, work):
        self.args, self.work, self.missing = args, work, {}
        try:
            self.python = python(REQUIREMENTS)
        except RuntimeError as error:
            self.missing = {name: f"not installed: {error}" for name in (*AUGMENT, *LOADERS)}
        self.prepare()

    def chipmill(self, *args):
        return output([self.args.chipmill, *args])

    def prepare(self):
        say(f"{self.args.patches} synthetic patches")
        sample = ["--layout", "v2", "--patches", self.args.patches, "--seed", 1]
        self.chipmill("sample", self.work, *sample)
        metadata = ["--metadata", self.work / "metadata.parquet", "--allow-subset"]
        self.store = self.work / "store"
        self.chipmill("ingest", self.work / LAYOUT, *metadata, "--store", self.store)
        manifest = json.loads(self.chipmill("inspect", self.store, "--json"))["manifest"]
        bands = manifest["statistics"][0]["bands"]
        scale = lambda b: [1 / (b["p99"] - b["p1"]), -b["p1"] / (b["p99"] - b["p1"])]
        self.scales = json.dumps([scale(band) for band in bands])

    def augment(self, *flags):
        flags = ["--store", self.store, "--repeats", 1, "--seconds", self.args.seconds, *flags]
        measured = json.loads(self.chipmill("bench", "augment", *flags, "--json"))
        return measured["rounds"][0] | measured

    def loader(self, workers, *flags):
        """A pass over the store in the file cache; the round that warms up is not counted."""
        size = ["--batch-size", 64, "--batches", max(self.args.patches // 64, 1)]
        flags = ["--store", self.store, "--preset", "peers", "--workers", workers, *size, *flags]
        measured = json.loads(self.chipmill("bench", "loader", *flags, "--repeats", 1, "--json"))
        views = 2 * 64 * measured["batches"]
        return measured["rounds"][0] | measured | {"views": views}

    def read(self, threads):
        flags = ["--store", self.store, "--threads", threads, "--seconds", self.args.seconds]
        measured = json.loads(self.chipmill("bench", "read", *flags, "--repeats", 1, "--json"))
        return measured["rounds"][0]

    def peer(self, name, seed):
        path = self.work / LOADERS.get(name, LAYOUT)
        script = [HERE / "views.py", name, path, self.scales, self.args.seconds, seed]
        environment = os.environ | ONE_THREAD
        text = output([self.python, "-W", "ignore", *script], env=environment, timeout=600)
        return json.loads(text.strip().splitlines()[-1])

    def crates_only(self):
        return json.loads(output([self.args.crates_only, self.store, self.args.seconds]))

    def own(self):
        """name -> what measures it once."""
        work = {"chipmill": lambda: self.augment("--policy", "peers", "--no-operations")}
        for name, flags in NOTES.items():
            work[name] = lambda flags=flags: self.augment(*flags)
        for workers in (1, 2):
            for dtype in DTYPES:
                of = lambda workers=workers, dtype=dtype: self.loader(workers, "--dtype", dtype)
                work[f"loader {workers} {dtype}"] = of
        # Noise by itself, on the path that most processors have.
        normals = ["--policy", "none", "--no-operations", "--simd", "avx2"]
        work["avx2"] = lambda: self.augment(*normals)
        work["read"] = lambda: self.read(1)
        if self.args.crates_only:
            work["crates only"] = self.crates_only
        return work

    def rounds(self):
        """Everyone once a round, so that what disturbs one disturbs all."""
        rounds = {}
        own = self.own()
        for number in range(self.args.rounds):
            say(f"round {number + 1}")
            for name, measure in own.items():
                rounds.setdefault(name, []).append(measure())
            for name in [n for n in (*AUGMENT, *LOADERS) if n not in self.missing]:
                try:
                    rounds.setdefault(name, []).append(self.peer(name, number))
                except (RuntimeError, subprocess.TimeoutExpired, ValueError) as error:
                    self.missing[name] = str(error)
        return rounds


def check_equal(rounds):
    """All must have done the same work: mean and deviation of the views agree within 3 %."""
    for what in ("mean", "std"):
        own = statistics.median(r[what] for r in rounds["chipmill"])
        for name in ("crates only", *AUGMENT):
            if name in CLIPS or name not in rounds:
                continue
            found = statistics.median(r[what] for r in rounds[name])
            if abs(found / own - 1) > 0.03:
                sys.exit(f"error: {name} makes other views: {what} {found}, chipmill's is {own}")


def operations(rounds):
    """Median over the rounds of what a view would cost less without an operation."""
    names = [o["op"] for o in rounds[0]["operations"]]
    of = lambda i: statistics.median(r["operations"][i]["us_per_view"] for r in rounds)
    return {name: of(i) for i, name in enumerate(names)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--chipmill", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--crates-only", type=Path, help="the program of that name; else it is built")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    args.crates_only = args.crates_only or build_crates_only()
    with tempfile.TemporaryDirectory(prefix="chipmill-views-") as work:
        run = Run(args, Path(work))
        rounds = run.rounds()
    check_equal(rounds)
    first = rounds["chipmill"][0]
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "patches": args.patches,
        "rounds": args.rounds,
        "machine": first["machine"],
        "simd": first.get("simd"),
        "load": [r["machine"]["load"] for r in rounds["chipmill"]],
        "version": first["version"],
        "python": sys.version.split()[0],
        "done": {name: middle(r) for name, r in rounds.items() if name not in run.missing},
        "operations": {name: operations(rounds[name]) for name in NOTES},
        "bandwidth": [r["bandwidth"] for r in rounds["chipmill"]],
        "roofline": [r["roofline"] for r in rounds["chipmill"]],
        "ns_per_normal": {
            simd: [r["ns_per_normal"] for r in rounds[name]]
            for simd, name in ((first["simd"], "chipmill"), ("avx2", "avx2"))
        },
        "loaders": {name: rounds[name] for name in rounds if name.startswith("loader ")},
        "view_bytes": first["view_bytes"],
        "missing": run.missing,
    }
    print(json.dumps(results, indent=2))
    if not args.no_write:
        tables_views.write(ROOT / "docs/benchmarks.md", results)


def build_crates_only():
    """The path of the program; its workspace is its own, its build folder is shared."""
    target = ROOT / "target" / "crates-only"
    build = ["cargo", "build", "--release", "--locked", "--target-dir", target]
    output(build, cwd=ROOT / "benches/crates_only")
    return target / "release/crates_only"


if __name__ == "__main__":
    main()
