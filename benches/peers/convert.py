"""Raw BigEarthNet to the peers' formats.

usage: convert.py lmdb RAW OUT       rasterio -> one safetensors blob a patch, keyed by patch id, in LMDB,
                                     in the manner of rico-hdl; prints what it cost as JSON
       convert.py mds|webdataset|litdata LMDB OUT
                                     the same patches for the other readers; not measured
"""

import json
import os
import sys
import time
from pathlib import Path

import lmdb
import numpy as np
from safetensors.numpy import load, save

GROUPS = {
    "10m": ("B02", "B03", "B04", "B08"),
    "20m": ("B05", "B06", "B07", "B8A", "B11", "B12"),
    "60m": ("B01", "B09"),
}
BANDS = sorted(band for bands in GROUPS.values() for band in bands)
COMMIT = 500


def patch_folders(raw):
    """Folders that hold rasters: acquisition/patch below the data set's folder."""
    return sorted(Path(raw).glob("*/*"))


def read_patch(folder):
    """The 12 bands of a patch as they are stored."""
    import rasterio

    bands = {}
    for band in BANDS:
        with rasterio.open(folder / f"{folder.name}_{band}.tif") as raster:
            bands[band] = raster.read(1)
    return bands


def to_lmdb(raw, out):
    folders = patch_folders(raw)
    wall, cpu = time.perf_counter(), time.process_time()
    env = lmdb.open(out, map_size=1 << 40)
    for start in range(0, len(folders), COMMIT):
        with env.begin(write=True) as txn:
            for folder in folders[start : start + COMMIT]:
                txn.put(folder.name.encode(), save(read_patch(folder)))
    env.sync(True)
    env.close()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"patches": len(folders), "wall_s": wall, "cpu_s": cpu}))


def patches(path):
    """(patch id, {group: array [band, y, x]}) of every patch of an LMDB."""
    with lmdb.open(path, readonly=True, lock=False) as env, env.begin() as txn:
        for key, blob in txn.cursor():
            bands = load(blob)
            groups = {g: np.stack([bands[b] for b in names]) for g, names in GROUPS.items()}
            yield key.decode(), groups


def to_mds(path, out):
    from streaming import MDSWriter

    shape = lambda group: ",".join(map(str, group.shape))
    _, first = next(patches(path))
    columns = {name: f"ndarray:uint16:{shape(group)}" for name, group in first.items()}
    with MDSWriter(out=out, columns=columns) as writer:
        for _, groups in patches(path):
            writer.write(groups)


def to_webdataset(path, out):
    import webdataset

    os.makedirs(out)
    with webdataset.ShardWriter(f"{out}/%05d.tar", maxcount=500, verbose=0) as writer:
        for key, groups in patches(path):
            writer.write({"__key__": key} | {f"{g}.npy": array for g, array in groups.items()})


def one(item):
    """What litdata stores of an item."""
    return item


def to_litdata(path, out):
    import litdata

    # litdata wants its inputs before it starts, and forks workers that load them again.
    inputs = [groups for _, groups in patches(path)]
    litdata.optimize(one, inputs, output_dir=out, chunk_bytes="64MB", num_workers=1)


if __name__ == "__main__":
    kind, source, target = sys.argv[1:]
    {
        "lmdb": to_lmdb,
        "mds": to_mds,
        "webdataset": to_webdataset,
        "litdata": to_litdata,
    }[kind](source, target)
