"""The tables of docs/benchmarks.md on views and loaders, from the results of one run.

Each stands between `<!-- begin NAME -->` and `<!-- end NAME -->` and is written by nobody else.
"""

import statistics

from tables import number, table

NAMES = {
    "chipmill": "**chipmill**",
    "crates only": "crates only (fast_image_resize, imageproc, rand_distr)",
    "opencv": "numpy and OpenCV by hand, plane by plane",
    "torchvision": "torchvision v2",
    "albumentations": "albumentations (its blur and noise clip)",
    "kornia": "kornia, batches of 64",
}
LOADERS = {
    "loader 2 f32": "**chipmill**, 2 workers",
    "loader 1 f32": "**chipmill**, 1 worker",
    "loader 2 f16": "**chipmill**, 2 workers, f16",
    "loader 2 bf16": "**chipmill**, 2 workers, bf16",
    "loader-zarr": "torch DataLoader, 2 workers, zarr-python on the store",
    "loader-rasterio": "torch DataLoader, 2 workers, rasterio on the GeoTIFFs",
}


def machine(results):
    m = results["machine"]
    known = [load for load in results["load"] if load is not None]
    load = f", load {min(known):.1f} to {max(known):.1f}" if known else ""
    simd = f", {results['simd']}" if results["simd"] else ""
    return (
        f"{results['date']}; {m['cpu']}, {m['cores']} cores{simd}, {m['kernel']}{load}; chipmill "
        f"{results['version']}, Python {results['python']}; medians of {results['rounds']} rounds, all "
        "of a round one after the other. A load above 1 means that other work ran beside: then trust "
        "ratios alone."
    )


def compared(results, names, base, head):
    done, missing = results["done"], results["missing"]
    against = done.get(base, {}).get("per_cpu_s")
    measured = sorted((n for n in names if n in done), key=lambda n: -done[n]["per_cpu_s"])

    def row(name):
        r = done[name]
        ratio = f"{r['per_cpu_s'] / against:.1f}" if against else "-"
        spread = f"{number(r['lowest'])} to {number(r['highest'])}"
        versions = r["versions"] or f"chipmill {results['version']}"
        return [names[name], number(r["per_cpu_s"]), number(r["per_s"]), ratio, f"{spread}; {versions}"]

    absent = [
        [names[n], "-", "-", "-", f"**not measured**: {missing.get(n, 'left out')}"]
        for n in names
        if n not in done
    ]
    return table(head, [row(name) for name in measured] + absent)


def augment(results):
    columns = ["12 x 120 x 120", "views per CPU-second", "views/s", "times torchvision's"]
    return compared(results, NAMES, "torchvision", [*columns, "range per CPU-second; versions"])


def loader(results):
    columns = ["store or files to batches", "views per CPU-second", "views/s", "times rasterio's"]
    names = LOADERS
    return compared(results, names, "loader-rasterio", [*columns, "range per CPU-second; versions"])


def floor(results):
    """What a view costs beside the least that it could cost."""
    of = lambda rounds, key: statistics.median(r[key] for r in rounds)
    line, memory = results["roofline"], results["bandwidth"]
    us = lambda key: 1e6 * results["view_bytes"] / of(memory, key)
    cost = 1e6 / results["done"]["chipmill"]["per_cpu_s"]
    least = of(line, "us_per_view")
    rows = [
        ["a view of policy peers", f"{cost:.1f} us"],
        ["its bytes written, as `fill` does", f"{us('write_bytes_per_s'):.1f} us"],
        ["its bytes copied, as `memcpy` does", f"{us('copy_bytes_per_s'):.1f} us"],
        ["bytes read and written, at the bandwidth", f"{of(line, 'memory_us'):.1f} us"],
        [
            f"{of(line, 'operations') / 1e6:.2f} million operations at "
            f"{of(line, 'peak_operations_per_s') / 1e9:.0f} G/s",
            f"{of(line, 'compute_us'):.1f} us",
        ],
        ["the least that a view could take: both", f"{least:.1f} us"],
        ["of that speed reached", f"{least / cost:.0%}"],
    ]
    for simd, times in results["ns_per_normal"].items():
        rows.append([f"a normal number of noise, {simd}", f"{statistics.median(times):.2f} ns"])
    return table(["", ""], rows)


def scaling(results):
    """Loaders against what reading and augmenting would allow, and against the memory's bandwidth."""
    done = results["done"]
    # Two views a patch: half a patch is read for each.
    single = 1 / (0.5 / done["read"]["per_cpu_s"] + 1 / done["chipmill"]["per_cpu_s"])
    share = lambda name: statistics.median(r["write_share"] for r in results["loaders"][name])
    write = lambda name: statistics.median(
        r["bandwidth"]["write_bytes_per_s"] for r in results["loaders"][name]
    )
    rows = [["predicted from reading and augmenting, views per CPU-second", number(single)]]
    for workers in (1, 2):
        rate = done[f"loader {workers} f32"]["per_cpu_s"] / single
        rows.append([f"loader, {workers} worker{'s'[: workers - 1]}, of that", f"{rate:.0%}"])
    for dtype in ("f32", "f16", "bf16"):
        one, two = (done[f"loader {workers} {dtype}"]["per_s"] for workers in (1, 2))
        rows.append([f"2 workers against 1, views/s, {dtype}", f"{two / one:.2f}"])
    for workers in (1, 2):
        name = f"loader {workers} f32"
        rows.append([f"memory written by {workers} thread{'s'[: workers - 1]}", f"{write(name) / 1e9:.0f} GB/s"])
        rows.append(["views written, of that", f"{share(name):.0%}"])
    return table(["", ""], rows)


def policies(results):
    done = results["done"]
    rows = []
    for name, ops in results["operations"].items():
        parts = ", ".join(f"{op} {us:.0f}" for op, us in ops.items() if us >= 1)
        rows.append([name, number(done[name]["per_cpu_s"]), f"{1e6 / done[name]['per_cpu_s']:.0f}", parts])
    head = ["policy", "views per CPU-second", "us a view", "us less without"]
    return table(head, rows)


def write(path, results):
    text = path.read_text()
    parts = {
        "views-machine": machine,
        "views": augment,
        "views-floor": floor,
        "views-policies": policies,
        "views-loader": loader,
        "views-scaling": scaling,
    }
    for name, make in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = f"{before}{begin}\n{make(results)}\n{end}{after}"
    path.write_text(text)
