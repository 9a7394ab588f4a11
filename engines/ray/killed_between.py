#!/usr/bin/env python3
"""Plays a machine that dies: calls chipmill, and kills it between a unit's data and its record.

    killed_between.py FOLDER CHIPMILL ARGUMENTS...

FOLDER holds a file `kill-K` for each unit K whose first try is to die so. In the very moment that the last
shard of the unit has its name, chipmill is killed with SIGKILL, a record that was quicker is taken away, and
this process kills itself, so that whoever called it sees a lost process.
"""

import glob
import os
import signal
import subprocess
import sys


def shards(store, unit):
    return [p for p in glob.glob(f"{glob.escape(store)}/*m/c.{unit}.*") if not p.endswith(".tmp")]


def main():
    folder, *command = sys.argv[1:]
    unit = command[-1]
    marked = os.path.join(folder, f"kill-{unit}")
    if "work" not in command or not os.path.exists(marked):
        os.execvp(command[0], command)
    store = command[command.index("--store") + 1]
    child = subprocess.Popen(command)
    while child.poll() is None and len(shards(store, unit)) < 3:
        pass
    child.kill()
    child.wait()
    for record in glob.glob(f"{glob.escape(store)}/.ingest/units/{int(unit):06}-*.json"):
        os.remove(record)
    os.rename(marked, os.path.join(folder, f"killed-{unit}"))
    os.kill(os.getpid(), signal.SIGKILL)


main()
