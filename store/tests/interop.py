"""Opens a store with zarr-python, xarray and (where installed) tensorstore and pyarrow, and compares
it by name with what the Rust side says it wrote.

usage: interop.py STORE EXPECTED.json
"""

import json
import sys
import warnings

import numpy as np
import xarray as xr
import zarr

GROUPS = {"10m": 120, "20m": 60, "60m": 20}


def same(what, found, expected):
    if isinstance(found, np.ndarray):
        found = found.tolist()
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def band_sums(pixels):
    """[band, y, x] -> one exact integer a band."""
    return pixels.astype(np.int64).sum(axis=(1, 2)).tolist()


def check_pixels(reader, read, expected):
    """`read(group, index)` gives the [band, y, x] of one patch."""
    for index, patch in enumerate(expected["patches"]):
        for group, side in GROUPS.items():
            pixels = read(group, index)
            bands = expected["bands"][group]
            same(f"{reader} {group} shape", list(pixels.shape), [len(bands), side, side])
            same(f"{reader} {group} dtype", str(pixels.dtype), "uint16")
            what = f"{reader} {patch['id']} {group}"
            same(f"{what} band sums", band_sums(pixels), patch["sums"][group])
            for band, y, x, value in patch["pixels"][group]:
                same(f"{what} pixel {band, y, x}", int(pixels[band, y, x]), value)


def check_s1(reader, read, expected):
    """`read(index)` gives the [polarisation, y, x] of one patch, all NaN where it has none."""
    for index, patch in enumerate(expected["patches"]):
        pixels = read(index)
        what = f"{reader} s1 of {patch['id']}"
        same(f"{what} shape", list(pixels.shape), [2, 120, 120])
        same(f"{what} dtype", str(pixels.dtype), "float32")
        same(f"{what} is absent", bool(np.isnan(pixels).all()), patch["s1"] is None)
        for polarisation, y, x, value in patch["s1"] or []:
            found = pixels[polarisation, y, x]
            same(f"{what} pixel {polarisation, y, x}", found == np.float32(value), True)


def names_of(row, classes):
    """One row of a label array -> class names, or None where unknown."""
    if (row == 255).all():
        return None
    assert set(row.tolist()) <= {0, 1}, row
    return [name for name, present in zip(classes, row) if present]


def check_zarr(path, expected):
    for consolidated in (True, False):
        root = zarr.open_group(path, mode="r", use_consolidated=consolidated)
        check_pixels("zarr-python", lambda group, i: root[group][i], expected)
        check_s1("zarr-python", lambda i: root["s1"][i], expected)
        same("zarr-python polarisation", list(root["polarisation"][:]), ["VV", "VH"])
        ids = [patch["id"] for patch in expected["patches"]]
        same("zarr-python patch_id", list(root["patch_id"][:]), ids)
        codes = [patch["crs"] for patch in expected["patches"]]
        same("zarr-python proj:code", list(root["proj:code"][:]), codes)
        for patch, found in zip(expected["patches"], root["spatial:transform"][:]):
            found = None if np.isnan(found).all() else found.tolist()
            same(f"zarr-python transform of {patch['id']}", found, patch["transform"])
        for nomenclature in ("43", "19"):
            labels = root[f"labels/{nomenclature}"]
            classes = labels.attrs["classes"]
            same("class names", classes, expected["classes"][nomenclature])
            same("class axis", list(root[f"labels/class_{nomenclature}"][:]), classes)
            for patch, row in zip(expected["patches"], labels[:]):
                found = names_of(row, classes)
                same(f"labels of {patch['id']}", found, patch["labels"][nomenclature])
        same("manifest", root.attrs["chipmill"]["patches"], len(ids))


def check_xarray(path, expected):
    store = xr.open_zarr(path, chunks=None)
    same("xarray dimensions", store.sizes["patch"], len(expected["patches"]))
    same("xarray coordinates", set(store.coords) >= {"patch_id", "proj:code"}, True)
    read = lambda group, i: store[group].isel(patch=i).values
    check_pixels("xarray", read, expected)
    for group, bands in expected["bands"].items():
        same(f"xarray band_{group}", list(store[f"band_{group}"].values), bands)
        for k, band in enumerate(bands):
            by_name = store[group].sel({f"band_{group}": band}).isel(patch=0).values
            same(f"xarray {band}", int(by_name.sum(dtype=np.int64)),
                 expected["patches"][0]["sums"][group][k])
    check_s1("xarray", lambda i: store["s1"].isel(patch=i).values, expected)
    vh = store["s1"].sel(polarisation="VH").isel(patch=0).values
    _, y, x, value = expected["patches"][0]["s1"][-1]
    same("xarray VH", vh[y, x] == np.float32(value), True)
    by_id = store.set_index(patch="patch_id")
    last = expected["patches"][-1]
    pixels = by_id["60m"].sel(patch=last["id"]).values
    same("xarray by patch id", band_sums(pixels), last["sums"]["60m"])
    labels = xr.open_zarr(path, group="labels", chunks=None)
    for nomenclature in ("43", "19"):
        for patch, row in zip(expected["patches"], labels[nomenclature].values):
            found = names_of(row, labels[f"class_{nomenclature}"].values)
            same(f"xarray labels of {patch['id']}", found, patch["labels"][nomenclature])
    tree = xr.open_datatree(path, engine="zarr", chunks=None)
    same("xarray tree", sorted(tree.children), ["labels"])


def check_tensorstore(path, expected):
    try:
        import tensorstore as ts
    except ImportError:
        return "skipped: tensorstore is not installed"
    def opened(name):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/{name}"}}
        return ts.open(spec, read=True).result()
    arrays = {group: opened(group) for group in GROUPS}
    read = lambda group, i: arrays[group][i].read().result()
    check_pixels("tensorstore", read, expected)
    s1 = opened("s1")
    check_s1("tensorstore", lambda i: s1[i].read().result(), expected)
    for nomenclature in ("43", "19"):
        rows = opened(f"labels/{nomenclature}").read().result()
        for patch, row in zip(expected["patches"], rows):
            found = names_of(row, expected["classes"][nomenclature])
            same(f"tensorstore labels of {patch['id']}", found, patch["labels"][nomenclature])
    opened("spatial:transform").read().result()
    return f"tensorstore {ts.__version__}" if hasattr(ts, "__version__") else "tensorstore"


def check_tables(path, expected):
    try:
        import pyarrow.parquet as pq
    except ImportError:
        return "skipped: pyarrow is not installed"
    rows = pq.read_table(f"{path}/patches.parquet").to_pylist()
    same("rows", [row["id"] for row in rows], [p["id"] for p in expected["patches"]])
    for row, patch in zip(rows, expected["patches"]):
        for nomenclature in ("43", "19"):
            found = row[f"labels_{nomenclature}"]
            same(f"table labels of {patch['id']}", found, patch["labels"][nomenclature])
        same("split", row["split"], patch["split"])
        same("country", row["country"], patch["country"])
        crs = "" if row["epsg"] is None else f"EPSG:{row['epsg']}"
        same("crs", crs, patch["crs"])
    units = pq.read_table(f"{path}/units.parquet").to_pylist()
    same("patches in units", sum(unit["patches"] for unit in units), len(rows))
    return "pyarrow"


def main(path, expected):
    # A reader's warning about the format is a defect of the store.
    warnings.simplefilter("error")
    with open(expected, encoding="utf-8") as file:
        expected = json.load(file)
    check_zarr(path, expected)
    check_xarray(path, expected)
    done = [f"zarr-python {zarr.__version__}", f"xarray {xr.__version__}"]
    done += [check_tensorstore(path, expected), check_tables(path, expected)]
    print("agreed: " + "; ".join(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
