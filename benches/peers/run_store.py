#!/usr/bin/env python3
"""Measures chipmill beside its peers, interleaved in one run, and writes the tables of
docs/benchmarks.md. Needs Python 3.11, a built chipmill (target/release) and 10 GB of disk.

usage: benches/peers/run_store.py [--patches N] [--rounds N] [--seconds S] [--large N]
                            [--chipmill PATH] [--work DIR] [--no-write]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tables
from common import HERE, LAYOUT, ONE_THREAD, ROOT, cpu_of, middle, output, python, read_alone, say

# name -> (what it reads, which requirements)
PEERS = {
    "lmdb": ("lmdb", "requirements.txt"),
    "lmdb-tuned": ("lmdb", "requirements.txt"),
    "tensorstore none": ("store-none", "requirements.txt"),
    "tensorstore lz4": ("store-lz4", "requirements.txt"),
    "zarr lz4": ("store-lz4", "requirements.txt"),
    "rasterio": (f"raw/{LAYOUT}", "requirements.txt"),
    "mds": ("mds", "requirements-torch.txt"),
    "mds-index": ("mds", "requirements-torch.txt"),
    "webdataset": ("webdataset", "requirements-torch.txt"),
    "litdata": ("litdata", "requirements-torch.txt"),
}
CODECS = ("lz4", "none", "zstd")
# Runs a round of what takes a second, where the peer takes half a minute.
SHORT = 5


class Run:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.missing, self.pythons = {}, {}
        for requirements in sorted({r for _, r in PEERS.values()}):
            try:
                self.pythons[requirements] = python(requirements)
            except RuntimeError as error:
                for name in [n for n, (_, r) in PEERS.items() if r == requirements]:
                    self.missing[name] = f"not installed: {error}"

    def chipmill(self, *args):
        return [self.args.chipmill, *args]

    def ingest(self, store, codec, threads=1, raw="raw", name=LAYOUT):
        raw = self.work / raw
        source = [raw / name, "--metadata", raw / "metadata.parquet"]
        flags = ["--codec", codec, "--threads", threads, "--allow-subset"]
        return self.chipmill("ingest", *source, "--store", store, *flags)

    def prepare(self):
        """Raw data, then every conversion; the first LMDB and store are kept for the readers."""
        say(f"{self.args.patches} synthetic patches")
        sample = ["--layout", "v2", "--patches", self.args.patches, "--seed", 1]
        output(self.chipmill("sample", self.work / "raw", *sample))
        output(self.chipmill("sample", self.work / "packed", *sample, "--archive", "tar.zst"))
        rounds = {"chipmill": [], "chipmill zst": [], "floor": [], "floor zst": [], "start": [], "lmdb": []}
        for number in range(self.args.rounds):
            say(f"conversion, round {number + 1}")
            self.convert_once(rounds, number)
        output(self.ingest(self.work / "store-none", "none", 0))
        output(self.ingest(self.work / "store-zstd", "zstd", 0))
        for kind in ("mds", "webdataset", "litdata"):
            self.convert_peer(kind)
        return rounds

    def convert_once(self, rounds, number):
        store, lmdb = self.work / "store-lz4", self.work / "lmdb"
        archive, unpacked = f"{LAYOUT}.tar.zst", self.work / "store-zst"
        commands = {
            "chipmill": self.ingest(store, "lz4"),
            "chipmill zst": self.ingest(unpacked, "lz4", raw="packed", name=archive),
            "floor": read_alone(self.work / "raw" / LAYOUT),
            "floor zst": read_alone(self.work / "packed" / archive),
            "start": self.chipmill("--version"),
        }
        for name, command in SHORT * list(commands.items()):
            for folder in (store, unpacked):
                if folder in command:
                    shutil.rmtree(folder, ignore_errors=True)
            os.sync()  # What was written before is not to be written back on somebody else's time.
            wall, cpu = cpu_of(command)
            rounds[name].append({"patches": self.args.patches, "wall_s": wall, "cpu_s": cpu})
        shutil.rmtree(lmdb, ignore_errors=True)
        if "requirements.txt" in self.pythons:
            os.sync()
            convert = [self.pythons["requirements.txt"], HERE / "convert.py", "lmdb"]
            rounds["lmdb"].append(json.loads(output([*convert, self.work / "raw" / LAYOUT, lmdb])))

    def convert_peer(self, kind):
        interpreter = self.pythons.get("requirements-torch.txt")
        if interpreter is None or kind in self.missing:
            return
        say(f"writing {kind}")
        try:
            output([interpreter, HERE / "convert.py", kind, self.work / "lmdb", self.work / kind])
        except RuntimeError as error:
            for name in [n for n, (data, _) in PEERS.items() if data == kind]:
                self.missing[name] = str(error)

    def read_chipmill(self, codec, *more):
        flags = ["--seconds", self.args.seconds, "--repeats", 1, "--json", *more]
        command = self.chipmill("bench", "read", "--store", self.work / f"store-{codec}", *flags)
        measured = json.loads(output(command))
        return measured["rounds"][0] | {k: measured[k] for k in ("machine", "version", "floor")}

    def read_peer(self, name, seed):
        data, requirements = PEERS[name]
        script = [HERE / "readers.py", name.split()[0], self.work / data, self.args.seconds, seed]
        environment = os.environ | ONE_THREAD
        text = output([self.pythons[requirements], *script], env=environment, timeout=600)
        return json.loads(text.strip().splitlines()[-1])

    def read(self):
        """Everyone once a round, so that what disturbs one disturbs all."""
        rounds = {}
        for number in range(self.args.rounds):
            say(f"reading, round {number + 1}")
            for codec in CODECS:
                rounds.setdefault(f"chipmill {codec}", []).append(self.read_chipmill(codec))
            rounds.setdefault("chipmill map", []).append(self.read_chipmill("none", "--map"))
            for name in [n for n in PEERS if n not in self.missing]:
                try:
                    rounds.setdefault(name, []).append(self.read_peer(name, number))
                except (RuntimeError, subprocess.TimeoutExpired, ValueError) as error:
                    self.missing[name] = str(error)
        return rounds

    def open_large(self):
        say(f"opening a store of {self.args.large} patches")
        store = self.work / "large"
        output(self.chipmill("bench", "large", store, "--patches", self.args.large))
        return json.loads(output(self.chipmill("bench", "open", "--store", store, "--json")))


def floor(rounds):
    """What the parts of reading took alone, medians."""
    parts = ("stored_us", "decode_us", "widen_us")
    return {part: statistics.median(r["floor"][part] for r in rounds) for part in parts}


def check_equal(rounds):
    """All readers must have seen the same pixels."""
    sums = {name: r[0]["checksum"] for name, r in rounds.items() if "checksum" in r[0]}
    if len(set(sums.values())) > 1:
        sys.exit(f"error: the readers disagree about the pixels: {sums}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--patches", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--large", type=int, default=600_000)
    parser.add_argument("--chipmill", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--work", type=Path, help="kept; else a temporary folder")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    if not args.chipmill.exists():
        output(["cargo", "build", "--release", "--locked"], cwd=ROOT)
    with tempfile.TemporaryDirectory(prefix="chipmill-peers-") as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        run = Run(args, work)
        converted, read = run.prepare(), run.read()
        check_equal(read)
        results = {
            "date": time.strftime("%Y-%m-%d"),
            "patches": args.patches,
            "rounds": args.rounds,
            "short": SHORT,
            "seconds": args.seconds,
            "machine": read["chipmill lz4"][0]["machine"],
            "load": [r["machine"]["load"] for r in read["chipmill lz4"]],
            "version": read["chipmill lz4"][0]["version"],
            "python": sys.version.split()[0],
            "convert": {name: middle(r) for name, r in converted.items() if r},
            "read": {name: middle(r) for name, r in read.items() if name not in run.missing},
            "floors": {codec: floor(read[f"chipmill {codec}"]) for codec in CODECS},
            "missing": run.missing,
            "open": run.open_large(),
        }
    text = json.dumps(results, indent=2)
    print(text)
    if not args.no_write:
        tables.write(ROOT / "docs/benchmarks.md", results)


if __name__ == "__main__":
    main()
