"""The parts of scripts/gpu-check.sh; see there."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HERE, ROOT, output, python, say

LIMIT = 590
PARTS = {}


class Skip(Exception):
    """Why a row has no figure."""


def part(function):
    PARTS[function.__name__] = function
    return function


class Check:
    def __init__(self, args, work):
        self.args, self.work, self.rows, self.ends = args, work, [], 0.0
        doctor = json.loads(output([args.chipmill, "doctor", "--json"]))
        self.features = doctor["features"]
        gpus = [name for name in doctor["devices"] if name.startswith("cuda")]
        self.device = args.device or (gpus[0] if gpus else "cpu")
        self.gpu = self.device.startswith("cuda")
        self.small = args.short or not self.gpu

    def row(self, what, found, expected="", well=None):
        verdict = {None: "", True: "ok", False: "FAILED"}[well]
        self.rows.append([self.name, what, found, expected, verdict])

    def needs_gpu(self, what):
        if not self.gpu:
            self.row(what, "skipped", "needs a GPU")
        return self.gpu

    def run(self, name):
        """One part; what goes wrong in it is a row, so that the others still have theirs."""
        self.name, began = name, time.monotonic()
        self.ends = began + LIMIT
        say(f"part {name}, on {self.device}")
        try:
            PARTS[name](self)
        except Skip as why:
            self.row(name, "skipped", str(why))
        except (RuntimeError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            self.row(name, f"{type(error).__name__}: {error}", "to run", False)
        say(f"part {name}: {time.monotonic() - began:.0f} s")

    def call(self, command, **more):
        return output(command, timeout=max(1, self.ends - time.monotonic()), **more)

    def settings(self, encoder, pairs):
        """Of the real work on a GPU, of something small elsewhere."""
        if self.small:
            encoder, side, pairs, width = ("small", 32, 4, 8) if encoder == "small" else (encoder, 64, 4, 64)
        else:
            encoder, side, width = "resnet18" if encoder == "small" else encoder, 120, 64
        sets = {
            "encoder.kind": encoder,
            "encoder.width": width,
            "view.side": side,
            "loader.batch_size": pairs,
            "loss.kind": "dcl",
        }
        return [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]

    def bench(self, encoder, pairs, *flags):
        sets = self.settings(encoder, pairs)
        command = [self.args.chipmill, "bench", "train", *sets, "--device", self.device, *flags, "--json"]
        return json.loads(self.call(command))

    def torch(self, folder, own, steps, layout):
        """The same steps in PyTorch, from what `bench train --dump` wrote."""
        if self.args.python is None:
            try:
                self.args.python = python("requirements-train.txt")
            except RuntimeError as error:
                raise Skip(f"PyTorch: {error}") from error
        work = folder / "work.json"
        work.write_text(json.dumps(own | {"layers": []}))
        threads = len(os.sched_getaffinity(0))
        text = self.call([self.args.python, HERE / "train.py", folder, work, threads, steps, layout])
        return json.loads(text.strip().splitlines()[-1])


@part
def losses(check):
    """All reference tests of train: losses with gradients, optimiser, monitors, probes."""
    linked = check.work / "golden"
    if not linked.exists():
        linked.symlink_to(check.args.golden.resolve(), target_is_directory=True)
    environment = os.environ | {"CHIPMILL_SHARED": str(check.work), "CHIPMILL_TEST_DEVICE": check.device}
    if check.args.golden_test:
        command = [check.args.golden_test]
    elif check.gpu:
        features = ["-p", "chipmill-train", "--no-default-features", "--features", "cpu,cuda"]
        command = ["cargo", "test", "--release", "--locked", *features, "--test", "golden", "--"]
    else:
        # As scripts/test.sh builds it: nothing is compiled twice.
        command = ["cargo", "test", "--release", "--locked", "--workspace", "--test", "golden", "--"]
    text = check.call([*command, "--show-output"], env=environment, cwd=ROOT)
    results = [line for line in text.splitlines() if line.startswith("test result:")]
    passed = sum(int(line.split()[3]) for line in results)
    skipped = text.count("skipped: needs")
    well = bool(results) and all("ok." in line for line in results) and passed > 0 and not skipped
    check.row("reference tests passed", str(passed), "all, none skipped", well)


@part
def steps(check):
    """Twenty steps beside PyTorch's. Single steps agree to rounding; TF32 and time let them drift."""
    count = 5 if check.args.short else 20
    folder = check.work / "steps"
    folder.mkdir(exist_ok=True)
    flags = ["--warmup", 1, "--steps", count - 1, "--dump", folder]
    own = check.bench("resnet18", 64, *flags)
    theirs = check.torch(folder, own, count, "contiguous")
    apart = [abs(a - b) / max(1, abs(a)) for a, b in zip(own["losses"], theirs["losses"])]
    first, limit = (2e-2, 1e-1) if check.gpu else (2e-3, 5e-2)
    check.row("first loss, relative difference to PyTorch", f"{apart[0]:.1e}", f"<= {first:g}", apart[0] <= first)
    text = f"{max(apart):.1e}"
    check.row(f"largest of {count} steps", text, f"<= {limit:g}", max(apart) <= limit)
    falls = own["losses"][-1] < own["losses"][0]
    check.row("loss, first and last", f"{own['losses'][0]:.3f}, {own['losses'][-1]:.3f}", "falls", falls)


@part
def speed(check):
    """Images per second (two a pair) beside PyTorch, 12 bands."""
    for encoder in ("resnet18", "resnet50"):
        if check.small and encoder == "resnet50":
            check.needs_gpu("resnet50, images/s")
            continue
        folder = check.work / encoder
        folder.mkdir(exist_ok=True)
        count = 3 if check.small else 20
        own = check.bench(encoder, 128, "--warmup", 2, "--steps", count, "--dump", folder)
        shape = f"{encoder}, {own['bands']}x{own['side']}x{own['side']}, {own['images']} images"
        check.row(f"{shape}: chipmill, images/s", f"{own['images_per_s']:.0f}")
        for layout in ("channels_last", "channels_last+bf16"):
            if "bf16" in layout and not check.needs_gpu(f"{shape}: PyTorch {layout}"):
                continue
            theirs = check.torch(folder, own, count + 2, layout)
            rate = own["images"] / theirs["step_s"]
            ratio = own["images_per_s"] / rate
            check.row(f"{shape}: PyTorch {layout}, images/s", f"{rate:.0f} (chipmill {ratio:.2f} times)")
    if check.gpu:
        check.row("bf16 in chipmill", "skipped", "the encoder computes in f32 (TF32 on a GPU)")


@part
def start(check):
    """A process's first step compiles and tunes kernels; a second process finds the caches."""
    first = [check.bench("small", 128, "--warmup", 1, "--steps", 1) for _ in range(2)]
    for number, measured in enumerate(first, 1):
        found = f"{measured['first_step_s']:.2f} s, then {measured['step_s']:.3f} s"
        check.row(f"process {number}: first step, then one", found)
    if check.needs_gpu("the second process reuses what the first tuned"):
        ratio = first[1]["first_step_s"] / first[0]["first_step_s"]
        check.row("second first step, of the first's", f"{ratio:.2f}", "<= 1.1", ratio <= 1.1)


@part
def memory(check):
    """Nothing grows with the number of steps."""
    count = 500 if check.gpu else 20 if check.args.short else 200
    measured = check.bench("small", 128, "--warmup", 5, "--steps", count)
    for what, key in (("device memory", "device_bytes"), ("resident memory", "resident_bytes")):
        warm, end = measured[key]
        if warm is None or end is None:
            check.row(what, "skipped", "needs a GPU" if key == "device_bytes" else "told on Linux only")
            continue
        # An allocator may settle: a twentieth, and what a small process is anyhow.
        limit = warm * 1.05 + 32e6
        found = f"{warm / 1e6:.0f} MB, {end / 1e6:.0f} MB"
        check.row(f"{what} after 5 and {count + 5} steps", found, f"<= {limit / 1e6:.0f} MB", end <= limit)


@part
def loader(check):
    """Pairs per second from the store to the step, beside the same step on views that stay where they are."""
    store = check.args.store or make_store(check)
    pairs, count = (4, 12) if check.small else (128, 200)
    sets = check.settings("small" if check.small else "resnet18", pairs)
    sets += ["--set", f"max_steps={count}"]
    sets += ["--set", f"log_every_steps={max(1, count // 4)}", "--set", f"checkpoint_every_steps={count}"]
    run = check.work / "run"
    check.call([check.args.chipmill, "pretrain", "--store", store, "--run", run, *sets, "--device", check.device])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    # The first rows have the first step in them.
    rows = rows[len(rows) // 2 :]
    rate = statistics.median(row["pairs_per_s"] for row in rows)
    wait = statistics.median(row["data_wait"] for row in rows)
    resident = check.bench("small" if check.small else "resnet18", pairs, "--warmup", 3, "--steps", 20)
    check.row("pairs/s from the store", f"{rate:.0f}, {100 * wait:.0f} % of the time waiting for data")
    check.row("pairs/s of the step on resident views", f"{resident['images_per_s'] / 2:.0f}")


def make_store(check):
    if "ingest" not in check.features:
        raise Skip("this chipmill makes no stores (built without ingest): name one with --store")
    raw, store = check.work / "raw", check.work / "store"
    patches = 64 if check.small else 2000
    check.call([check.args.chipmill, "sample", raw, "--layout", "v1", "--patches", patches, "--seed", 1])
    check.call([check.args.chipmill, "ingest", raw / "BigEarthNet-v1.0", "--store", store])
    return store


def table(rows):
    head = ["part", "what", "found", "expected", "verdict"]
    lines = [head, ["---"] * len(head), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines]
    return "\n".join(f"| {line} |" for line in shown)


def main():
    parser = argparse.ArgumentParser(prog="gpu-check.sh")
    parser.add_argument("golden", type=Path)
    parser.add_argument("--part", action="append", choices=sorted(PARTS))
    parser.add_argument("--device", help="cpu, cuda or cuda:N; the first GPU without it")
    parser.add_argument("--short", action="store_true", help="small work and few steps, wherever")
    parser.add_argument("--chipmill", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--golden-test", type=Path, help="the built test program")
    parser.add_argument("--python", type=Path, help="an interpreter with PyTorch")
    parser.add_argument("--store", type=Path, help="a store for the part `loader`; else one is made")
    args = parser.parse_args()
    if not args.golden.is_dir():
        parser.error(f"{args.golden} is no folder, expected that of the golden vectors")
    if not args.chipmill.exists():
        parser.error(f"{args.chipmill} is not there: build it, or name it with --chipmill")
    with tempfile.TemporaryDirectory(prefix="chipmill-gpu-check-") as work:
        check = Check(args, Path(work))
        for name in args.part or PARTS:
            check.run(name)
    print(f"device {check.device}; chipmill {args.chipmill}\n")
    print(table(check.rows))
    sys.exit(1 if any(row[-1] == "FAILED" for row in check.rows) else 0)


if __name__ == "__main__":
    main()
