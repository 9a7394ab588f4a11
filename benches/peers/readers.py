"""Shuffled batches of 128 patches as float32, by one reader on one thread.

usage: readers.py NAME PATH SECONDS SEED      prints one JSON document

All do the same work: every patch with its 12 bands at native resolution, converted to float32 in
buffers [128, band, y, x] that are filled again and again. A pass over all patches warms up, then whole
batches are read until SECONDS are over.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np

from convert import GROUPS, patch_folders, read_patch

BATCH = 128
SIDES = {"10m": 120, "20m": 60, "60m": 20}


class Buffers:
    """One batch, used again and again."""

    def __init__(self):
        shape = lambda g: (BATCH, len(GROUPS[g]), SIDES[g], SIDES[g])
        self.groups = {g: np.zeros(shape(g), np.float32) for g in GROUPS}

    def put_bands(self, slot, bands):
        for group, names in GROUPS.items():
            for place, band in enumerate(names):
                self.groups[group][slot, place] = bands[band]

    def put_groups(self, slot, groups):
        for group in GROUPS:
            self.groups[group][slot] = groups[group]


def shuffled(count, rng):
    """Numbers of one epoch, in batches."""
    order = rng.permutation(count)
    return (order[start : start + BATCH] for start in range(0, count, BATCH))


def rasterio_raw(path):
    """The raw GeoTIFFs, as torchgeo and its like read them."""
    folders = patch_folders(path)

    def epoch(rng, out):
        for batch in shuffled(len(folders), rng):
            for slot, i in enumerate(batch):
                out.put_bands(slot, read_patch(folders[i]))
            yield len(batch)

    return epoch, ["rasterio"]


def lmdb_safetensors(path, tuned):
    """As data sets and their collate functions are commonly written: bands are stacked into an array,
    converted, and samples are stacked into a batch. `tuned` writes each band into the batch at once."""
    import lmdb
    from safetensors.numpy import load

    env = lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False)
    txn = env.begin()
    keys = [bytes(key) for key in txn.cursor().iternext(values=False)]

    def sample(i):
        bands = load(txn.get(keys[i]))
        stack = lambda names: np.stack([bands[band] for band in names]).astype(np.float32)
        return {group: stack(names) for group, names in GROUPS.items()}

    def epoch(rng, out):
        for batch in shuffled(len(keys), rng):
            if tuned:
                for slot, i in enumerate(batch):
                    out.put_bands(slot, load(txn.get(keys[i])))
            else:
                samples = [sample(i) for i in batch]
                out.groups = {g: np.stack([s[g] for s in samples]) for g in GROUPS}
            yield len(batch)

    return epoch, ["lmdb", "safetensors"]


def tensorstore(path):
    import tensorstore as ts

    limits = {"data_copy_concurrency": {"limit": 1}, "file_io_concurrency": {"limit": 1}}
    context = ts.Context(limits)
    spec = lambda g: {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/{g}"}}
    arrays = {g: ts.open(spec(g), context=context, read=True).result() for g in GROUPS}

    def epoch(rng, out):
        for batch in shuffled(arrays["10m"].shape[0], rng):
            reads = {g: array[batch].read() for g, array in arrays.items()}
            for group, read in reads.items():
                out.groups[group][: len(batch)] = read.result()
            yield len(batch)

    return epoch, ["tensorstore"]


def zarr_python(path):
    import zarr

    zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1})
    root = zarr.open_group(path, mode="r")
    arrays = {g: root[g] for g in GROUPS}

    def epoch(rng, out):
        for batch in shuffled(arrays["10m"].shape[0], rng):
            rows = np.sort(batch)
            for group, array in arrays.items():
                out.groups[group][: len(rows)] = array.oindex[rows]
            yield len(rows)

    return epoch, ["zarr"]


def in_batches(samples, out):
    """Fills batches from a stream of samples."""
    slot = 0
    for sample in samples:
        out.put_groups(slot, sample)
        slot += 1
        if slot == BATCH:
            yield slot
            slot = 0
    if slot:
        yield slot


def mds(path, by_index):
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    data = StreamingDataset(local=path, shuffle=not by_index, shuffle_seed=1, batch_size=BATCH)

    def epoch(rng, out):
        if not by_index:
            yield from in_batches(data, out)
            return
        for batch in shuffled(len(data), rng):
            for slot, i in enumerate(batch):
                out.put_groups(slot, data[int(i)])
            yield len(batch)

    return epoch, ["mosaicml-streaming", "torch"]


def webdataset(path):
    from pathlib import Path

    import webdataset as wds

    shards = sorted(map(str, Path(path).glob("*.tar")))

    def epoch(rng, out):
        urls = [shards[i] for i in rng.permutation(len(shards))]
        data = wds.WebDataset(urls, shardshuffle=False).shuffle(1000).decode()
        samples = ({g: sample[f"{g}.npy"] for g in GROUPS} for sample in data)
        yield from in_batches(samples, out)

    return epoch, ["webdataset"]


def litdata(path):
    from litdata import StreamingDataset

    data = StreamingDataset(path, shuffle=True)

    def epoch(rng, out):
        yield from in_batches(iter(data), out)

    return epoch, ["litdata", "torch"]


READERS = {
    "rasterio": rasterio_raw,
    "lmdb": lambda path: lmdb_safetensors(path, tuned=False),
    "lmdb-tuned": lambda path: lmdb_safetensors(path, tuned=True),
    "mds": lambda path: mds(path, by_index=False),
    "mds-index": lambda path: mds(path, by_index=True),
    "webdataset": webdataset,
    "litdata": litdata,
    "tensorstore": tensorstore,
    "zarr": zarr_python,
}


def measure(epoch, seconds, seed):
    """Warms up with one pass, then reads for so long."""
    rng, out = np.random.default_rng(seed), Buffers()
    checksum = sum(int(out.groups["60m"][:n].sum(dtype=np.float64)) for n in epoch(rng, out))
    chips, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        for count in epoch(rng, out):
            chips += count
            if time.perf_counter() - wall >= seconds:
                break
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"chips": chips, "wall_s": wall, "cpu_s": cpu, "checksum": checksum}


def main(name, path, seconds, seed):
    epoch, packages = READERS[name](path)
    result = measure(epoch, float(seconds), int(seed))
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(json.dumps(result | {"versions": versions}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
