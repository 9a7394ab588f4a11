"""The driver, alone and on a cluster of three raylets on the loopback. `test.sh` calls this.

CHIPMILL is the program; the parts that take long run with CHIPMILL_ENGINES=1.
"""

import _thread
import filecmp
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import chipmill_ray

HERE = os.path.dirname(os.path.abspath(__file__))
CHIPMILL = os.environ["CHIPMILL"]
LONG = os.environ.get("CHIPMILL_ENGINES") == "1"
MEMORY = 80 * 1024 * 1024


def chipmill(*arguments):
    return subprocess.run([CHIPMILL, *arguments], check=True, capture_output=True, text=True).stdout


def driver(*arguments, **more):
    command = [sys.executable, os.path.join(HERE, "chipmill_ray.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def files(root):
    """Every file of a store outside .ingest."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".ingest"]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def children():
    """Process ids by that of their parent."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(pid))
    return found


def at_work(raylet):
    """The raylet and all processes below it, once one of them is chipmill at a unit."""
    while True:
        below, tree, has_unit = children(), [raylet], False
        for pid in tree:
            tree += below.get(pid, [])
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    has_unit |= "\0ingest\0work\0" in file.read()
            except OSError:
                pass
        if has_unit:
            return tree
        time.sleep(0.01)


def kill_machine(node):
    """As when a machine goes: all that runs on it is gone at once, in the middle of a unit."""
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    for pid in at_work(node.all_processes[PROCESS_TYPE_RAYLET][0].process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Alone(unittest.TestCase):
    def test_only_what_may_pass_is_tried_again(self):
        for code in (75, 130, 143, -9, 137, -15, -2, -1):
            self.assertTrue(chipmill_ray.may_try_again(code), code)
        for code in (0, 1, 2, 3, 127, -6, -11, 139, 101):
            self.assertFalse(chipmill_ray.may_try_again(code), code)
        self.assertEqual(chipmill_ray.exit_code(-9), 137)

    def test_the_words_of_chipmill_are_divided_among_its_steps(self):
        options = chipmill_ray.parse(["--cpus", "2", "--units-per-task", "4", "ingest", "a b", "--store=s", "--json"])
        plan, work, finalize, names = chipmill_ray.steps(options, options.rest)
        store = os.path.abspath("s")
        self.assertEqual(plan, ["plan", "a b", "--store=s", "--json"])
        self.assertEqual(work, ["work", "--store", store, "--threads", "2", "--units-per-task", "4", "--unit"])
        self.assertEqual(finalize, ["finalize", "--store", store, "--threads", "2"])
        self.assertEqual(names({"units": 9}), ["task 0", "task 1", "task 2"])
        options = chipmill_ray.parse(["compare", "e.toml", "--device", "cuda", "--store", "s", "--out", "o"])
        plan, work, finalize, names = chipmill_ray.steps(options, options.rest)
        self.assertEqual(plan, ["plan", "e.toml", "--store", "s", "--out", "o", "--json"])
        self.assertEqual(work[-3:], ["--device", "cuda", "--run"])
        self.assertEqual(names({"runs": ["a", "b"]}), ["a", "b"])

    def test_a_cancelling_in_the_middle_of_a_start_ends_what_was_started(self):
        begin, started = subprocess.Popen, []

        def interrupted(*arguments, **more):
            started.append(begin(*arguments, **more))
            _thread.interrupt_main()
            return started[-1]

        before = signal.getsignal(signal.SIGINT)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        # The second is what a worker has whose cluster was begun in the background.
        for handler in (signal.default_int_handler, signal.SIG_IGN):
            signal.signal(signal.SIGINT, handler)
            with mock.patch.object(subprocess, "Popen", interrupted), self.assertRaises(KeyboardInterrupt):
                chipmill_ray.call(["sleep", "60"])
            self.assertEqual(started[-1].returncode, -signal.SIGTERM)
            self.assertEqual(signal.getsignal(signal.SIGINT), handler)

    def test_a_driver_that_ignores_an_interrupt_goes_on(self):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        with chipmill_ray.Held() as held:
            os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(held.came, [])


class OnACluster(unittest.TestCase):
    """A head without cores of its own, and two workers of one core each."""

    @classmethod
    def setUpClass(cls):
        from ray.cluster_utils import Cluster

        cls.folder = tempfile.TemporaryDirectory(prefix="chipmill-ray-")
        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        cls.cluster = Cluster(initialize_head=True, head_node_args=head)
        cls.workers = [cls.worker() for _ in range(2)]
        cls.raw = cls.path("raw")
        chipmill("sample", cls.raw, "--layout", "v2", "--patches", "240", "--seed", "11")
        cls.source = [f"{cls.raw}/BigEarthNet-S2", "--metadata", f"{cls.raw}/metadata.parquet", "--shard-patches", "8"]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.shutdown()
        cls.folder.cleanup()

    @classmethod
    def worker(cls):
        return cls.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def fake(self, name, body):
        """A program in chipmill's place whose plan has three units."""
        path = self.path(name)
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n[ $2 = plan ] && {{ echo '{{\"units\": 3}}'; exit 0; }}\nfor last; do :; done\n{body}\n")
        os.chmod(path, 0o755)
        return path

    def run_driver(self, *arguments, expect):
        child = driver("--address", self.cluster.address, *arguments)
        out, err = child.communicate(timeout=240)
        self.assertEqual(child.returncode, expect, err)
        return out, err

    def lines(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def test_a_permanent_failure_is_neither_tried_again_nor_finalized(self):
        calls = self.path("permanent.calls")
        fake = self.fake("permanent", f"echo $2 $last >> {calls}; [ $last = 1 ] && {{ echo why >&2; exit 2; }}; exit 0")
        _, err = self.run_driver("--command", fake, "ingest", "x", "--store", "s", expect=2)
        self.assertEqual(sorted(self.lines("permanent.calls")), ["work 0", "work 1", "work 2"])
        self.assertIn("why", err)
        self.assertIn("finalize was not begun", err)

    def test_what_may_pass_is_tried_again_so_often_and_no_oftener(self):
        calls = self.path("bounded.calls")
        fake = self.fake("bounded", f"echo $2 $last >> {calls}; [ $last = 2 ] && exit 75; exit 0")
        limits = ["--tries", "3", "--pause", "0.1"]
        self.run_driver("--command", fake, *limits, "ingest", "x", "--store", "s", expect=75)
        self.assertEqual(self.lines("bounded.calls").count("work 2"), 3)
        self.assertNotIn("finalize", " ".join(self.lines("bounded.calls")))

    def test_defects_of_the_data_and_refused_plans_give_chipmills_own_codes(self):
        fake = self.fake("defects", "[ $2 = finalize ] && { echo summary; exit 1; }; exit 0")
        out, _ = self.run_driver("--command", fake, "ingest", "x", "--store", "s", expect=1)
        self.assertEqual(out, "summary\n")
        self.run_driver("--command", CHIPMILL, "ingest", self.path("nothing"), "--store", self.path("none"), expect=2)

    def test_a_unit_that_is_stopped_from_outside_comes_to_an_end_first(self):
        calls = self.path("stopped.calls")
        fake = self.fake("stopped", f"trap 'sleep 1; echo ended >> {calls}; exit 143' TERM; echo begun >> {calls}; sleep 60 & wait")
        child = driver("--address", self.cluster.address, "--command", fake, "ingest", "x", "--store", "s")
        began = time.monotonic()
        while not self.lines("stopped.calls"):
            self.assertLess(time.monotonic() - began, 60)
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=120)
        self.assertEqual(child.returncode, 143)
        lines = self.lines("stopped.calls")
        self.assertEqual(lines.count("ended"), lines.count("begun"), lines)

    def test_a_lost_worker_and_units_killed_between_data_and_record_give_the_bytes_of_one_process(self):
        expected, store, marks = self.path("expected"), self.path("store"), self.path("marks")
        chipmill("ingest", *self.source, "--store", expected)
        os.mkdir(marks)
        killed = [3, 8, 13, 17, 22]
        for unit in killed:
            open(os.path.join(marks, f"kill-{unit}"), "w").close()
        command = shlex.join([sys.executable, os.path.join(HERE, "killed_between.py"), marks, CHIPMILL])
        timings = self.path("timings.json")
        began = time.monotonic()
        child = driver("--address", self.cluster.address, "--command", command, "--pause", "0.2", "--timings", timings,
                       "ingest", *self.source, "--store", store)
        said = []
        reader = threading.Thread(target=lambda: said.extend(child.stderr))
        reader.start()
        # In the middle: one of two workers dies with everything on it.
        while not any(line.startswith("8 of 30") for line in said):
            self.assertIsNone(child.poll(), said)
            time.sleep(0.02)
        lost = self.workers.pop()
        kill_machine(lost)
        self.assertEqual(child.wait(timeout=240), 0, said)
        reader.join()
        child.stdout.close(), child.stderr.close()
        seconds = time.monotonic() - began
        self.cluster.remove_node(lost, allow_graceful=False)
        self.workers.append(self.worker())

        self.assertEqual(sorted(os.listdir(marks)), sorted(f"killed-{unit}" for unit in killed))
        self.assertEqual(files(store), files(expected))
        same, other, broken = filecmp.cmpfiles(store, expected, files(expected), shallow=False)
        self.assertEqual((other, broken), ([], []))
        chipmill("verify", store)
        records = [name for name in os.listdir(f"{store}/.ingest/units") if name.endswith(".json")]
        self.assertEqual(len(records), 30)
        with open(timings) as file:
            took = json.load(file)
        self.assertGreaterEqual(took["retries"], len(killed) + 1)
        self.assertTrue(any("worker was lost" in line for line in said), said)
        parts = ", ".join(f"{name} {value:.1f} s" for name, value in took["seconds"].items())
        print(f"ray: 30 units, {took['retries']} tried again, one worker lost, {seconds:.1f} s ({parts})")

    @unittest.skipUnless(LONG, "CHIPMILL_ENGINES=1 runs it")
    def test_a_comparison_has_the_figures_of_one_command(self):
        experiment, store = os.path.join(HERE, "../../tests/tiny.toml"), self.path("v1")
        chipmill("sample", self.path("raw1"), "--layout", "v1", "--patches", "160", "--seed", "7")
        chipmill("ingest", self.path("raw1/BigEarthNet-v1.0"), "--store", store)
        expected = json.loads(chipmill("compare", experiment, "--store", store, "--out", self.path("one"), "--json"))
        arguments = ["--command", CHIPMILL, "compare", experiment, "--store", store, "--out", self.path("many")]
        self.run_driver(*arguments, expect=0)
        with open(self.path("many/comparison.json")) as file:
            report = json.load(file)
        self.assertTrue(report["complete"])
        self.assertEqual(report["families"], expected["families"])
        self.assertEqual([run["values"] for run in report["runs"]], [run["values"] for run in expected["runs"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
