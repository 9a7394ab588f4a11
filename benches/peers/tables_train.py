"""The tables of docs/benchmarks.md on training, from the results of one run.

Each stands between `<!-- begin NAME -->` and `<!-- end NAME -->` and is written by nobody else.
"""

from tables import table
from tables_views import machine as describe

NAMES = {
    "chipmill": "**chipmill**",
    "contiguous": "PyTorch",
    "channels_last": "PyTorch, channels_last",
}


def machine(results):
    return describe(results | {"simd": None})


def cases(results):
    """(case, threads) -> name -> what was measured, in the order of measuring."""
    found = {}
    for done in results["done"]:
        found.setdefault((done["case"], done["threads"]), {})[done["name"]] = done
    return found


def steps(results):
    rows = []
    for (case, threads), by_name in cases(results).items():
        side, images = case.split("x")
        best = by_name.get("channels_last")
        for name, done in by_name.items():
            ratio = f"{done['step_cpu_s'] / best['step_cpu_s']:.2f}" if best else "-"
            what = f"{side} px, {images} images, {threads} thread{'s' * (threads > 1)}"
            times = [f"{done['step_cpu_s']:.2f}", f"{done['step_s']:.2f}"]
            rows.append([what, NAMES[name], *times, ratio, f"{done['peak_bytes'] / 2**20:.0f}"])
    head = ["a step of", "by", "CPU s", "wall s", "times channels_last's CPU", "peak MiB"]
    if results["missing"]:
        rows.append(["all", "PyTorch", "-", "-", "-", f"**not measured**: {results['missing']}"])
    return table(head, rows)


def floor(results):
    """The layers of the largest case by themselves, one thread, and what they add up to."""
    one = {case: names for (case, threads), names in cases(results).items() if threads == 1}
    with_layers = [case for case, names in one.items() if "layers" in names["chipmill"]]
    if not with_layers:
        return "Not measured."
    case = with_layers[-1]
    names = one[case]
    peers = [name for name in NAMES if "layers" in names.get(name, {})]
    rows, sums = [], dict.fromkeys(peers, 0.0)
    for i, shape in enumerate(names["chipmill"]["layers"]):
        cost = {name: names[name]["layers"][i]["step_cpu_s"] for name in peers}
        for name in peers:
            sums[name] += cost[name]
        kind = shape["kind"].replace("_", " ")
        size = f" {shape['kernel']}x{shape['kernel']}/{shape['stride']}" if shape["kernel"] else ""
        channels = f"{shape['input']}-{shape['output']}" if kind == "conv" else f"{shape['input']}"
        what = f"{shape['count']} x {kind}{size}, {channels}, {shape['side']} px"
        rows.append([what, *(f"{1e3 * cost[name]:.0f}" for name in peers), ratio(cost)])
    rows.append(["sum of the layers", *(f"{1e3 * sums[name]:.0f}" for name in peers), ratio(sums)])
    whole = {name: names[name]["step_cpu_s"] for name in peers}
    rows.append(["the whole step", *(f"{1e3 * whole[name]:.0f}" for name in peers), ratio(whole)])
    side, images = case.split("x")
    head = [f"forward and backward, {side} px, {images} images", *(NAMES[n] + ", ms" for n in peers)]
    return table([*head, "times channels_last's"], rows)


def ratio(cost):
    best = cost.get("channels_last")
    return f"{cost['chipmill'] / best:.1f}" if best else "-"


def write(path, results):
    text = path.read_text()
    for name, make in {"train-machine": machine, "train": steps, "train-layers": floor}.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = f"{before}{begin}\n{make(results)}\n{end}{after}"
    path.write_text(text)
