#!/usr/bin/env python3
"""Runs `chipmill ingest` and `chipmill compare` on a Ray cluster: plan, then units or runs, then finalize.

    python chipmill_ray.py ingest SOURCE... --store STORE [any option of `chipmill ingest`]
    python chipmill_ray.py compare EXPERIMENT.toml --store STORE --out DIR [--device cuda]

Options of this driver come first (`--help`). What is finished is no work: the same command goes on after
anything. Exits as chipmill does: 0 done, 1 done but the data has defects, 2 failed, 75 try again later,
130 and 143 stopped.

Every machine needs chipmill and sees sources, store and results under the same paths.
"""

import argparse
import collections
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import ray

# What may be tried again: exit codes by chipmill's contract, and deaths that come from outside.
TRY_AGAIN = {75, 130, 143}
KILLED = {-signal.SIGHUP, -signal.SIGINT, -signal.SIGKILL, -signal.SIGTERM}

Ended = collections.namedtuple("Ended", "code out err")


def may_try_again(code):
    """Whether an exit code (negative: killed by a signal) is temporary. 137 is a kill seen by a shell."""
    return code in TRY_AGAIN or code in KILLED or code == 128 + signal.SIGKILL


def exit_code(code):
    """A code as the shell would show it."""
    return 128 - code if code < 0 else code


class Held:
    """While it lasts, SIGINT, which is also how Ray cancels, and SIGTERM are noted; then the first is obeyed.

    Obeyed at once they would be exceptions between the start of a process, or of a task, and our knowing it.
    What is ignored, as SIGINT is by what a script runs in the background, stays so, except where Ray's workers
    inherited that.
    """

    def __init__(self, even_ignored=False):
        self.left_alone = (None,) if even_ignored else (None, signal.SIG_IGN)

    def __enter__(self):
        self.came = []
        found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        self.before = {number: handler for number, handler in found.items() if handler not in self.left_alone}
        for number in self.before:
            signal.signal(number, lambda number, _: self.came.append(number))
        return self

    def __exit__(self, kind, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if not self.came or kind:
            return
        handler = self.before[self.came[0]]
        if handler == signal.SIG_DFL:
            signal.raise_signal(self.came[0])
        if not callable(handler):
            raise KeyboardInterrupt
        handler(self.came[0], None)


def call(command, show=False):
    """Runs chipmill to its end. Whatever ends this call ends chipmill first, in good order."""
    err = None if show else subprocess.PIPE
    with Held(even_ignored=not show) as held:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, errors="replace")
        told = False
        while True:
            try:
                out, err = child.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if held.came and not told:
                    child.terminate()
                    told = True
    return Ended(child.returncode, out, err or "")


# Retries are counted here and nowhere else.
@ray.remote(max_retries=0)
def task(command):
    return call(command)


class Driver:
    """Tasks at work, those that wait, and how often each was begun."""

    def __init__(self, options, names, command):
        self.options, self.names, self.command = options, names, command
        self.waiting = collections.deque((0.0, k) for k in range(len(names)))
        self.running, self.begun = {}, collections.Counter()
        self.failed, self.retries, self.done = {}, 0, 0

    def submit(self, command):
        limits = {"num_cpus": self.options.cpus, "num_gpus": self.options.gpus}
        return task.options(**limits).remote(command)

    def start_those_due(self):
        """Begins what waits and is due, as far as it may be in flight."""
        for _ in range(len(self.waiting)):
            due, k = self.waiting.popleft()
            if due > time.monotonic() or len(self.running) >= self.options.in_flight:
                self.waiting.append((due, k))
                continue
            self.begun[k] += 1
            self.running[self.submit(self.command(k))] = k

    def settle(self, ref):
        """Takes in how a task ended."""
        k = self.running.pop(ref)
        try:
            ended = ray.get(ref)
            reason = f"exit code {exit_code(ended.code)}"
            temporary = may_try_again(ended.code)
        except ray.exceptions.RayTaskError as error:
            # This driver's own fault, such as a machine without chipmill: not a lost node.
            ended = Ended(2, "", str(error.cause) if error.cause else str(error))
            reason, temporary = "it could not be started", False
        except ray.exceptions.RayError as error:
            ended = Ended(75, "", "")
            reason, temporary = f"its worker was lost ({type(error).__name__})", True
        if ended.code == 0:
            self.done += 1
            self.say(f"{self.done} of {len(self.names)}  {last_line(ended.out) or self.names[k]}")
        elif temporary and self.begun[k] < self.options.tries:
            self.retries += 1
            pause = min(self.options.pause * 2 ** (self.begun[k] - 1), 60)
            self.waiting.append((time.monotonic() + pause, k))
            self.say(f"{self.names[k]}: {reason}; again in {pause:g} s")
        else:
            self.failed[k] = exit_code(ended.code)
            self.say(f"{self.names[k]}: {reason}, begun {self.begun[k]} times\n{ended.err.strip()}")

    def run(self):
        """Runs all tasks; gives 0, or the exit code of one that failed, a permanent one before others."""
        with Held() as held:
            while (self.waiting or self.running) and not held.came:
                self.start_those_due()
                ready, _ = ray.wait(list(self.running), timeout=0.2) if self.running else ([], [])
                for ref in ready:
                    self.settle(ref)
                if not self.running:
                    time.sleep(0.05)
            if held.came:
                self.stop()
        codes = self.failed.values()
        return next((c for c in codes if not may_try_again(c)), next(iter(codes), 0))

    def stop(self):
        """Cancels what is at work, and gives back when it has come to its end."""
        self.say("stopping: units at work are finished, checkpoints saved")
        for ref in self.running:
            ray.cancel(ref)
        if self.running:
            ray.wait(list(self.running), num_returns=len(self.running), timeout=120)

    def say(self, text):
        if not self.options.quiet:
            print(text, file=sys.stderr, flush=True)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--address", metavar="HOST:PORT", help="an existing cluster, or `auto` on one of its machines; without it a local one is started")
    add("--command", metavar="WORDS", default="chipmill", help="how chipmill is called on every machine")
    add("--cpus", type=float, default=1, help="cores of a task (default 1)")
    add("--gpus", type=float, default=0, help="GPUs of a task (default 0)")
    add("--units-per-task", type=int, default=1, help="units of an ingest that a task does (default 1)")
    add("--in-flight", type=int, default=1000, help="tasks given to Ray at the same time, at most")
    add("--tries", type=int, default=5, help="how often a task is begun, at most (default 5)")
    add("--pause", type=float, default=1.0, help="seconds before the second try; doubled each time, 60 at most")
    add("--quiet", action="store_true", help="say nothing but errors")
    add("--timings", metavar="FILE", help="write how long each step took, as JSON")
    add("kind", choices=["ingest", "compare"])
    add("rest", nargs=argparse.REMAINDER, help="what chipmill takes")
    options = parser.parse_args(arguments)
    if min(options.units_per_task, options.in_flight, options.tries) < 1:
        parser.error("--units-per-task, --in-flight and --tries are 1 at least")
    return options


def usage(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def value_of(name, words):
    """The value of an option of chipmill, given as `--name V` or `--name=V`; None when it is not there."""
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
    return None


def path_of(name, words):
    value = value_of(name, words)
    if value is None:
        usage(f"{name} is needed")
    return os.path.abspath(value)


def without(names, words):
    """The words without these options and their values."""
    left, skip = [], False
    for word in words:
        if not skip and word not in names and not word.startswith(tuple(n + "=" for n in names)):
            left.append(word)
        skip = not skip and word in names
    return left


def steps(options, words):
    """Arguments of plan, of a task (its number follows) and of finalize; and the names of a plan's tasks."""
    words = [word for word in words if word != "--json"]
    store = path_of("--store", words)
    if options.kind == "ingest":
        threads, size = str(max(1, int(options.cpus))), options.units_per_task
        place = ["--store", store, "--threads", threads]
        work = ["work", *place, "--units-per-task", str(size), "--unit"]
        kind = "unit" if size == 1 else "task"

        def names(plan):
            return [f"{kind} {k}" for k in range(-(-plan["units"] // size))]
    else:
        device = value_of("--device", words) or "cpu"
        place = ["--store", store, "--out", path_of("--out", words), "--device", device]
        work = ["work", *place, "--run"]
        words = without(["--device"], words)

        def names(plan):
            return plan["runs"]

    return ["plan", *words, "--json"], work, ["finalize", *place], names


def main(arguments):
    options = parse(arguments)
    chipmill = [*shlex.split(options.command), options.kind]
    plan, work, finalize, names = steps(options, options.rest)
    clock, timings = time.monotonic(), {}

    def lap(name):
        nonlocal clock
        timings[name], clock = time.monotonic() - clock, time.monotonic()

    planned = call(chipmill + plan, show=True)
    if planned.code != 0:
        return exit_code(planned.code)
    names = names(json.loads(planned.out))
    lap("plan")
    sys.stdout = sys.stderr  # Ray's own talk; what chipmill says goes to the real one, below
    local = {} if options.address else {"include_dashboard": False}
    ray.init(address=options.address or "local", log_to_driver=False, **local)
    signal.signal(signal.SIGTERM, terminated)  # Ray has put its own in the place of ours
    lap("ray")
    driver = Driver(options, names, lambda k: chipmill + work + [str(k)])
    code = driver.run()
    lap("work")
    ray.shutdown()
    if code:
        print(f"{len(driver.failed)} of {len(names)} tasks failed; finalize was not begun", file=sys.stderr)
        return code
    finalized = call(chipmill + finalize, show=True)
    lap("finalize")
    print(finalized.out, end="", file=sys.__stdout__, flush=True)
    if options.timings:
        with open(options.timings, "w") as file:
            json.dump({"tasks": len(names), "retries": driver.retries, "seconds": timings}, file)
    return exit_code(finalized.code)


STOPPED = [130]


def terminated(*_):
    """SIGTERM ends as Ctrl-C does, with its own exit code."""
    STOPPED[0] = 143
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(STOPPED[0])
    except ray.exceptions.RayError as error:
        print(f"error: Ray: {error}", file=sys.stderr)
        sys.exit(75)
    except (OSError, ValueError, RuntimeError) as error:
        usage(error)
