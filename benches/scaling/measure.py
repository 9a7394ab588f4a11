#!/usr/bin/env python3
"""Measures what the model of an ingest on many machines is made of, on this machine.

    measure.py --tables FOLDER --work FOLDER [--chipmill PROGRAM] [--part plan|units] > part.json

`plan`: folders with the names of all of v2 (from the official tables in --tables, read with pyarrow) and of as
many v1 patches as v1 has, every band a link to one empty file; --work should be a tmpfs with 5 GB free and no
limit of inodes. Time and memory of `ingest plan`, and of a call of `ingest work` that finds its unit done, which is
what a task costs besides its units.

`units`: synthetic patches, ingested unit by unit by one and by two processes, cold plans and all; and finalize.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time

BANDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12".split()


def timed(command):
    """Wall seconds, CPU seconds, peak memory in bytes and JSON of a command."""
    # GNU time, since a child of this process would begin with this process's own peak.
    child = subprocess.run(["/usr/bin/time", "-q", "-f", "%e %U %S %M", *command, "--quiet"], capture_output=True, text=True)
    if child.returncode != 0:
        sys.exit(f"failed: {command}\n{child.stderr}")
    wall, user, system, peak = map(float, child.stderr.split())
    return {"seconds": wall, "cpu_seconds": user + system, "peak_bytes": int(peak) * 1024, "said": json.loads(child.stdout)}


def v2_names(tables):
    import pyarrow.parquet

    for name in ("metadata.parquet", "metadata_for_patches_with_snow_cloud_or_shadow.parquet"):
        column = pyarrow.parquet.read_table(os.path.join(tables, name), columns=["patch_id"]).column(0)
        for patch in column.to_pylist():
            yield patch.rsplit("_", 2)[0], patch


def v1_names(count):
    """Names of v1's form: 125 acquisitions and as many rows and columns as it takes."""
    for k in range(count):
        acquisition, place = k % 125, k // 125
        day, hour = 1 + acquisition % 28, 9 + acquisition // 28
        yield "", f"S2A_MSIL2A_201706{day:02}T{hour:02}3101_{place // 90}_{place % 90}"


def grow(root, names):
    """The folders of the patches, with links to an empty file."""
    os.makedirs(root)
    empty = os.path.join(root, "..", "empty")
    open(empty, "a").close()
    count, parents = 0, set()
    for parent, patch in names:
        if parent not in parents:
            parents.add(parent)
            os.makedirs(os.path.join(root, parent), exist_ok=True)
        folder = os.path.join(root, parent, patch)
        os.mkdir(folder)
        at = os.open(folder, os.O_RDONLY)
        for band in BANDS:
            os.link(empty, f"{patch}_{band}.tif", dst_dir_fd=at)
        os.close(at)
        count += 1
    return count


def plan(options, layout, names, metadata):
    root, store = (os.path.join(options.work, f"{layout}-{kind}") for kind in ("raw", "store"))
    began = time.monotonic()
    patches = grow(root, names)
    print(f"{layout}: {patches} folders in {time.monotonic() - began:.0f} s", file=sys.stderr)
    tables = [word for path in metadata for word in ("--metadata", path)]
    command = [options.chipmill, "ingest", "plan", root, *tables, "--store", store, "--json"]
    planned = timed(command)
    unit = [options.chipmill, "ingest", "work", "--store", store, "--threads", "1", "--json", "--unit", "0"]
    timed(unit)  # every band file is empty: the record names 1,024 defective patches
    again = timed(unit)
    assert again["said"][0]["was_finished"], again
    said = planned.pop("said")
    again.pop("said")
    size = os.path.getsize(os.path.join(store, ".ingest", "plan.json"))
    shutil.rmtree(root)
    shutil.rmtree(store)
    return {"layout": layout, "patches": said["patches"], "units": said["units"], "plan": planned, "task": again, "plan_json_bytes": size}


def plans(options):
    share = lambda names: itertools.islice(names, None, None, options.every)
    tables = [os.path.join(options.tables, name) for name in sorted(os.listdir(options.tables)) if name.endswith(".parquet")]
    return [plan(options, "v2", share(v2_names(options.tables)), tables), plan(options, "v1", share(v1_names(590_326)), [])]


def units(options, patches=2048, size=128):
    raw = os.path.join(options.work, "sample")
    subprocess.run([options.chipmill, "sample", raw, "--layout", "v2", "--patches", str(patches), "--seed", "1"], check=True, stdout=subprocess.DEVNULL)
    source, table = os.path.join(raw, "BigEarthNet-S2"), os.path.join(raw, "metadata.parquet")
    runs = []
    for processes in (1, 2) * 4:
        store = os.path.join(options.work, "store")
        said = timed([options.chipmill, "ingest", "plan", source, "--metadata", table, "--shard-patches", str(size), "--store", store, "--json"])["said"]
        work = [options.chipmill, "ingest", "work", "--store", store, "--threads", "1", "--json", "--unit"]
        timed([*work, "0"])
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        shares = [list(range(1, said["units"]))[p::processes] for p in range(processes)]
        loops = [f"set -e; for k in {' '.join(map(str, share))}; do {' '.join(work)} $k >/dev/null; done" for share in shares]
        children = [subprocess.Popen(["sh", "-c", loop]) for loop in loops]
        if any(child.wait() for child in children):
            sys.exit("a unit failed")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = time.monotonic() - began
        overhead = timed([*work, "0"])
        finalize = timed([options.chipmill, "ingest", "finalize", "--store", store, "--threads", "1", "--json"])
        summary = finalize.pop("said")
        overhead.pop("said")
        runs.append({
            "processes": processes, "units": said["units"] - 1, "seconds": seconds,
            "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "task": overhead, "finalize": finalize, "patches": patches, "unit_patches": size,
            "bytes_in": summary["bytes_in"], "bytes_out": summary["bytes_out"],
        })
        shutil.rmtree(store)
    shutil.rmtree(raw)
    return runs


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    return {"processor": model, "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables")
    parser.add_argument("--work", required=True)
    parser.add_argument("--chipmill", default="target/release/chipmill")
    parser.add_argument("--every", type=int, default=1, help="of `plan`: only every N-th patch")
    parser.add_argument("--part", choices=["plan", "units"], required=True)
    options = parser.parse_args()
    result = plans(options) if options.part == "plan" else units(options)
    json.dump({options.part: result, "machine": machine()}, sys.stdout, indent=1)


main()
