"""The tables of docs/benchmarks.md, from the results of one run.

Each stands between `<!-- begin NAME -->` and `<!-- end NAME -->` and is written by nobody else.
"""

NAMES = {
    "chipmill lz4": "**chipmill**, lz4 (the default)",
    "chipmill none": "**chipmill**, uncompressed",
    "chipmill map": "**chipmill**, uncompressed, mapped",
    "chipmill zstd": "**chipmill**, zstd",
    "lmdb": "LMDB + safetensors, as commonly written",
    "lmdb-tuned": "LMDB + safetensors, tuned",
    "mds": "MosaicML streaming (MDS), shuffled",
    "mds-index": "MosaicML streaming (MDS), by index",
    "webdataset": "WebDataset",
    "litdata": "LitData",
    "tensorstore none": "tensorstore on the uncompressed store",
    "tensorstore lz4": "tensorstore on the default store",
    "zarr lz4": "zarr-python on the default store",
    "rasterio": "rasterio on the raw GeoTIFFs",
}


def number(value):
    return f"{value:,.0f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 2) + "---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def machine(results):
    m, loads = results["machine"], results["load"]
    known = [load for load in loads if load is not None]
    load = f", load {min(known):.1f} to {max(known):.1f}" if known else ""
    return (
        f"{results['date']}; {m['cpu']}, {m['cores']} cores, {m['kernel']}{load}; "
        f"chipmill {results['version']}, Python {results['python']}; {number(results['patches'])} "
        f"synthetic patches in the file cache; medians of {results['rounds']} rounds, all of a round "
        f"one after the other, one thread each; chipmill's ingests {results['short']} times a round. A load "
        "above 1 means that other work ran beside: then "
        "trust ratios alone."
    )


def ingest(results):
    done = results["convert"]
    names = {
        "chipmill": "**chipmill ingest**, folders",
        "chipmill zst": "**chipmill ingest**, .tar.zst",
        "lmdb": "rasterio to LMDB + safetensors, folders",
    }
    floors = {"chipmill": "floor", "chipmill zst": "floor zst", "lmdb": "floor"}
    base = done.get("lmdb", {}).get("per_cpu_s")
    # The peer's figure is without its start: so is chipmill's where the two are compared.
    start = 1 / done["start"]["per_cpu_s"]

    def row(key, name):
        if key not in done:
            return [name, "-", "-", "-", "-", "-", results["missing"].get(key, "not measured")]
        r, floor = done[key], done[floors[key]]["per_cpu_s"]
        alone = 1 / r["per_cpu_s"] - (0 if key == "lmdb" else start)
        ratio = f"{1 / alone / base:.1f}" if base else "-"
        spread = f"{number(r['lowest'])} to {number(r['highest'])}"
        figures = [number(r["per_cpu_s"]), number(r["per_s"]), ratio]
        return [name, *figures, number(1e6 / r["per_cpu_s"]), number(1e6 / floor), spread]

    head = [
        "conversion", "patches per CPU-second", "patches/s", "times LMDB's", "CPU us a patch",
        "to read it alone, us", "range per CPU-second",
    ]
    return table(head, [row(key, name) for key, name in names.items()])


def reading(results):
    done, missing = results["read"], results["missing"]
    base = done.get("lmdb", {}).get("per_cpu_s")
    measured = [key for key in NAMES if key in done]
    measured.sort(key=lambda key: -done[key]["per_cpu_s"])

    def row(key):
        r = done[key]
        ratio = f"{r['per_cpu_s'] / base:.2f}" if base else "-"
        versions = r["versions"] or f"chipmill {results['version']}"
        spread = f"{number(r['lowest'])} to {number(r['highest'])}"
        return [NAMES[key], number(r["per_cpu_s"]), number(r["per_s"]), ratio, f"{spread}; {versions}"]

    head = ["reader", "chips per CPU-second", "chips/s", "times LMDB's", "range per CPU-second; versions"]
    absent = [[NAMES[key], "-", "-", "-", f"**not measured**: {why}"] for key, why in missing.items()]
    return table(head, [row(key) for key in measured] + absent)


def stages(results):
    """Microseconds a chip: what each part takes by itself, and what a chip took."""
    rows = []
    for codec, floor in results["floors"].items():
        parts = [floor["stored_us"], floor["decode_us"], floor["widen_us"]]
        took = 1e6 / results["read"][f"chipmill {codec}"]["per_cpu_s"]
        figures = [*parts, sum(parts), took]
        rows.append([codec, *(f"{figure:.1f}" for figure in figures), f"{sum(parts) / took:.0%}"])
    head = ["codec", "from the file cache", "check, decompress", "to f32 in the batch", "the sum", "a chip took", "of that speed"]
    return table(head, rows)


def opening(results):
    o = results["open"]
    megabytes = lambda value: "-" if value is None else f"{value / 1e6:.0f} MB"
    rows = [
        ["patches, shards", f"{number(o['patches'])}, {number(o['shards'])}"],
        ["open (median, wall; CPU)", f"{o['open_s']:.2f} s; {o['open_cpu_s']:.2f} s"],
        ["open, first in its process", f"{o['first_open_s']:.2f} s"],
        ["index of every shard, all at once", f"{o['indexes_s']:.2f} s"],
        ["memory at most, open", megabytes(o["memory_open"])],
        ["memory at most, with every index", megabytes(o["memory_indexes"])],
    ]
    return table(["opening", ""], rows)


def write(path, results):
    parts = {"machine": machine, "ingest": ingest, "reading": reading, "stages": stages, "opening": opening}
    write_parts(path, results, parts)


def write_parts(path, results, parts):
    text = path.read_text()
    for name, make in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = f"{before}{begin}\n{make(results)}\n{end}{after}"
    path.write_text(text)
