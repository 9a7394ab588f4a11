#!/usr/bin/env python3
"""Measures chipmill's training step beside PyTorch's on the CPU, the same weights, views and steps, one after
the other in one run, and writes the tables of docs/benchmarks.md. Needs Python 3.11 and a built chipmill
(target/release). Losses of both are compared step by step: who does other work is refused.

usage: benches/peers/run_train.py [--cases 64x32,120x32] [--rounds N] [--steps N] [--chipmill PATH]
                                  [--threads 1,2] [--no-layers] [--no-write]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import tables_train
from common import HERE, ROOT, output, python, say

REQUIREMENTS = "requirements-train.txt"
LAYOUTS = ("contiguous", "channels_last")
# ResNet-18, 12 bands, the notes' head, DCL, Adam: side x images (two a pair).
CASES = ("64x32", "64x64", "120x32", "120x64")
# Of the loss. Adam's first step is the sign of the gradient: where that is next to nothing, rounding decides, so
# that later losses differ by some thousandths. A gradient or an optimiser that is wrong shows as some tenths.
FIRST, LATER = 2e-3, 5e-2


class Run:
    def __init__(self, args, work):
        self.args, self.work, self.missing = args, work, None
        try:
            self.python = python(REQUIREMENTS)
        except RuntimeError as error:
            self.missing = f"not installed: {error}"

    def chipmill(self, case, threads, *flags):
        side, images = map(int, case.split("x"))
        settings = {
            "view.side": side,
            "loader.batch_size": images // 2,
            "loss.kind": "dcl",
            "encoder.kind": "resnet18",
        }
        sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        steps = ["--warmup", 2, "--steps", self.args.steps, "--threads", threads]
        command = [self.args.chipmill, "bench", "train", *sets, *steps, *flags, "--json"]
        return json.loads(output(command))

    def case(self, case, threads):
        """name -> what one round measured; the losses agree."""
        folder = self.work / case
        folder.mkdir(exist_ok=True)
        layers = [] if self.args.no_layers or threads != 1 else ["--layers"]
        own = self.chipmill(case, threads, "--dump", folder, *layers)
        found = {"chipmill": own}
        if self.missing:
            return found
        work = folder / "work.json"
        work.write_text(json.dumps(own))
        steps = len(own["losses"])
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        for layout in LAYOUTS:
            script = [self.python, HERE / "train.py", folder, work, threads, steps, layout]
            text = output(script, env=os.environ | limits, timeout=600)
            found[layout] = json.loads(text.strip().splitlines()[-1])
            check_equal(case, layout, own["losses"], found[layout]["losses"])
        return found

    def rounds(self):
        """(case, threads, name) -> rounds; everyone once a round, so that what disturbs one disturbs all."""
        rounds = {}
        for number in range(self.args.rounds):
            for threads in self.args.threads:
                for case in self.args.cases:
                    say(f"round {number + 1}: {case}, {threads} thread(s)")
                    for name, measured in self.case(case, threads).items():
                        rounds.setdefault((case, threads, name), []).append(measured)
        return rounds


def check_equal(case, name, own, theirs):
    for step, (a, b) in enumerate(zip(own, theirs, strict=True)):
        tolerance = LATER if step else FIRST
        if not abs(a - b) <= tolerance * max(1, abs(a)):
            sys.exit(f"error: {case}, step {step + 1}: chipmill's loss is {a}, {name}'s {b}")


def middle(rounds):
    keys = ("step_s", "step_cpu_s", "peak_bytes")
    found = {key: statistics.median(r[key] for r in rounds) for key in keys}
    layers = [r["layers"] for r in rounds if r.get("layers")]
    if layers:
        cost = lambda i: statistics.median(r[i]["step_cpu_s"] for r in layers)
        found["layers"] = [shape | {"step_cpu_s": cost(i)} for i, shape in enumerate(layers[0])]
    return found | {"versions": rounds[0].get("versions", ""), "losses": rounds[0]["losses"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", type=lambda text: text.split(","), default=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    everyone = [1, len(os.sched_getaffinity(0))]
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser.add_argument("--threads", type=numbers, default=sorted(set(everyone)))
    parser.add_argument("--chipmill", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--no-layers", action="store_true", help="leave out the table of layers")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chipmill-train-") as work:
        run = Run(args, Path(work))
        rounds = run.rounds()
    first = next(r[0] for key, r in rounds.items() if key[2] == "chipmill")
    loads = [r["machine"]["load"] for (_, _, name), rs in rounds.items() for r in rs if name == "chipmill"]
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "rounds": args.rounds,
        "steps": args.steps,
        "machine": first["machine"],
        "load": loads,
        "version": first["version"],
        "python": sys.version.split()[0],
        "missing": run.missing,
        "done": [
            {"case": case, "threads": threads, "name": name} | middle(r)
            for (case, threads, name), r in rounds.items()
        ],
    }
    print(json.dumps(results, indent=2))
    if not args.no_write:
        tables_train.write(ROOT / "docs/benchmarks.md", results)


if __name__ == "__main__":
    main()
