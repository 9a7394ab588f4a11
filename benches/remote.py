#!/usr/bin/env python3
"""Chips per second from a store behind a slow network, with and without a cache.

    python3 -m venv target/remote && target/remote/bin/pip install -r tests/remote/requirements.txt
    target/remote/bin/python benches/remote.py [--patches N] [--write]

An object store (moto) runs on this machine, and before it a proxy that holds every request back. What is
measured is `chipmill bench read` and `chipmill bench loader`; --write puts the table into docs/benchmarks.md.
"""
import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LATENCIES = [0, 10, 50]
BATCH = 128


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Network:
    """Passes bytes on; those of requests after a while."""

    def __init__(self, upstream):
        self.upstream, self.port, self.latency = upstream, free_port(), 0.0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run(ready)), daemon=True).start()
        ready.wait()

    async def run(self, ready):
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=512)
        ready.set()
        await server.serve_forever()

    async def serve(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        await asyncio.gather(
            self.pump(reader, up_writer, True), self.pump(up_reader, writer, False), return_exceptions=True
        )

    async def pump(self, reader, writer, is_request):
        while piece := await reader.read(1 << 18):
            if is_request and self.latency:
                await asyncio.sleep(self.latency)
            writer.write(piece)
            await writer.drain()
        writer.close()


def chipmill(binary, arguments, environment):
    command = [str(binary), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def measure(binary, environment, store, batches, cache=None):
    """chips/s of reading alone and of the loader with the preset of the notes; requests a chip of the latter."""
    # Reading and loading have a cache each, so that neither fills that of the other.
    of = lambda kind: ["--cache", f"{cache[0]}-{kind}", "--cache-size", cache[1]] if cache else []
    read = ["bench", "read", "--store", store, "--batch", BATCH, "--threads", 3, "--json"]
    read += ["--seconds", 3, "--repeats", 1, *of("read")]
    load = ["bench", "loader", "--store", store, "--batch-size", BATCH, "--json"]
    load += ["--batches", batches, "--repeats", 1, *of("loader")]
    loaded = json.loads(chipmill(binary, load, environment))
    traffic = loaded.get("traffic", {})
    chips = 2 * batches * BATCH
    read = json.loads(chipmill(binary, read, environment))
    return loaded["chips_per_s"], read["chips_per_s"], traffic.get("requests", 0) / chips


def table(rows):
    lines = [
        "| store | added latency | loader, chips/s | reading, chips/s | requests a chip (loader) |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, latency, (loader, read, requests) in rows:
        shown = "" if latency is None else f"{latency} ms"
        lines.append(f"| {name} | {shown} | {loader:,.0f} | {read:,.0f} | {requests:.2f} |")
    return "\n".join(lines)


def write(block, machine):
    page = ROOT / "docs/benchmarks.md"
    text = page.read_text()
    begin, end = "<!-- begin afar -->\n", "<!-- end afar -->"
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}{machine}\n\n{block}\n{end}{rest.split(end, 1)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--patches", type=int, default=1536)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/chipmill")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    port = free_port()
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        with tempfile.TemporaryDirectory() as work:
            run(options, port, Path(work))
    finally:
        moto.kill()


def run(options, port, work):
    network = Network(port)
    environment = dict(
        os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{network.port}", AWS_ALLOW_HTTP="true",
        AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="us-east-1", NO_PROXY="127.0.0.1",
    )
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        s.recv(4096)
    binary, source = options.binary, work / "raw"
    chipmill(binary, ["sample", source, "--layout", "v1", "--patches", options.patches, "--seed", 1], environment)
    data = next(p for p in source.iterdir() if p.is_dir())
    local, far = work / "store", "s3://bucket/store"
    for store in (local, far):
        arguments = ["ingest", data, "--store", store, "--shard-patches", 256]
        chipmill(binary, arguments, environment)
    bytes_ = sum(p.stat().st_size for p in local.glob("*m/c.*"))
    batches = max(1, options.patches // BATCH // 2)
    rows = [("folder", None, measure(binary, environment, local, batches))]
    for latency in LATENCIES:
        network.latency = latency / 1000
        rows.append(("object store", latency, measure(binary, environment, far, batches)))
        cache = work / f"cache-{latency}"
        cached = (cache, 4 * bytes_ + (64 << 20))
        rows.append(("... a new cache", latency, measure(binary, environment, far, batches, cached)))
        rows.append(("... a full cache", latency, measure(binary, environment, far, batches, cached)))
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    machine = (
        f"{time.strftime('%Y-%m-%d')}; {cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"{options.patches:,} synthetic patches ({bytes_ / 1e6:.0f} MB) in shards of 256, batches of {BATCH} in "
        f"random order, moto on the same machine."
    )
    print(machine, table(rows), sep="\n\n")
    if options.write:
        write(table(rows), machine)


if __name__ == "__main__":
    main()
