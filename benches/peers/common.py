"""What both measurements need: commands, interpreters with pinned packages, medians."""

import hashlib
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LAYOUT = "BigEarthNet-S2"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def output(command, **more):
    """stdout of a command that must succeed; its stderr is only shown when it does not."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)
    if done.returncode > 1:  # chipmill's 1: done, with remarks
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise RuntimeError(f"{Path(str(command[0])).name}: {lines[-1][:300]}")
    return done.stdout


def cpu_of(command):
    """(wall, user and system seconds) of a child process and its children."""
    used = lambda r: r.ru_utime + r.ru_stime
    children = lambda: used(resource.getrusage(resource.RUSAGE_CHILDREN))
    before, wall = children(), time.perf_counter()
    output(command)
    return time.perf_counter() - wall, children() - before


def read_alone(source):
    """A command that only reads the source of an ingest, as the cheapest of tools does it."""
    if source.is_dir():
        shell = f"find '{source}' -name '*.tif' -print0 | sort -z | xargs -0 cat > /dev/null"
    else:
        shell = f"zstd -dcq '{source}' > /dev/null"
    return ["sh", "-c", shell]


def python(requirements):
    """An interpreter with the packages of a file, made once and kept in the target folder."""
    text = (HERE / requirements).read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = ROOT / "target" / f"peers-{digest}"
    if not (folder / "complete").exists():
        say(f"installing {requirements}")
        output([sys.executable, "-m", "venv", "--clear", folder])
        output([folder / "bin/python", "-m", "pip", "install", "-q", "-r", HERE / requirements])
        (folder / "complete").touch()
    return folder / "bin/python"


def middle(rounds):
    """Medians of the rates over the rounds, and their range."""
    count = lambda r: next(r[key] for key in ("views", "chips", "patches") if key in r)
    cpu = [count(r) / r["cpu_s"] for r in rounds]
    wall = [count(r) / r["wall_s"] for r in rounds]
    return {
        "per_cpu_s": statistics.median(cpu),
        "per_s": statistics.median(wall),
        "lowest": min(cpu),
        "highest": max(cpu),
        "versions": rounds[0].get("versions", ""),
    }
