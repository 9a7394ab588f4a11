"""usage: train.py FOLDER WORK THREADS STEPS LAYOUT

The steps of `chipmill bench train --dump FOLDER` in PyTorch: the same weights and views, ResNet-18 of
torchvision with WORK's number of bands and its projection head, two forward passes, DCL at temperature
0.1, backward, Adam with coupled L2 on kernels. WORK is the JSON that `bench train` printed. Prints JSON.
LAYOUT is `contiguous` or `channels_last`, with `+bf16` for autocast; device and layers are WORK's.
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file

folder, work, threads, steps, layout = sys.argv[1:]
work, threads, steps = json.loads(Path(work).read_text()), int(threads), int(steps)
torch.set_num_threads(threads)
device = torch.device(work["device"])
layout, _, types = layout.partition("+")
memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
if device.type == "cuda":
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
TEMPERATURE, RATE, DECAY = 0.1, 1e-3, 1e-6
LAYER_REPEATS = 5


class Model(torch.nn.Module):
    """Encoder and head with chipmill's names."""

    def __init__(self, weights):
        super().__init__()
        encoder = getattr(torchvision.models, work["encoder"]["kind"])()
        stem = encoder.conv1
        encoder.conv1 = torch.nn.Conv2d(work["bands"], stem.out_channels, 7, 2, 3, bias=False)
        features, encoder.fc = encoder.fc.in_features, torch.nn.Identity()
        hidden, output = weights["projection.fc1.weight"].shape[0], weights["projection.fc2.weight"].shape[0]
        self.encoder = encoder
        self.projection = torch.nn.Sequential()
        self.projection.fc1 = torch.nn.Linear(features, hidden)
        self.projection.bn1 = torch.nn.BatchNorm1d(hidden)
        self.projection.fc2 = torch.nn.Linear(hidden, output, bias=False)
        self.load_state_dict(weights, strict=True)

    def forward(self, view):
        head = self.projection
        return head.fc2(torch.relu(head.bn1(head.fc1(self.encoder(view)))))


def dcl(z1, z2):
    """Mean over both views' anchors of -s + log of the sum over negatives of both views."""
    z = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    s = z @ z.T / TEMPERATURE
    n = len(z1)
    here = torch.arange(2 * n, device=z.device)
    partner = (here + n) % (2 * n)
    masked = s.clone()
    masked[here, here] = masked[here, partner] = -torch.inf
    return (torch.logsumexp(masked, 1) - s[here, partner]).mean()


def cpu():
    """Of all threads, in nanoseconds' steps; `os.times` counts in hundredths, which a small layer never fills."""
    return time.process_time()


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(what):
    wait()
    wall, used = time.perf_counter(), cpu()
    value = what()
    wait()
    return value, {"wall_s": time.perf_counter() - wall, "cpu_s": cpu() - used}


def layer(shape, images):
    kind, size = shape["kind"], (images, shape["input"], shape["side"], shape["side"])
    kernel, stride = shape["kernel"], shape["stride"]
    module = {
        "conv": lambda: torch.nn.Conv2d(shape["input"], shape["output"], kernel, stride, kernel // 2, bias=False),
        "batch_norm": lambda: torch.nn.BatchNorm2d(shape["input"]),
        "relu": torch.nn.ReLU,
        "max_pool": lambda: torch.nn.MaxPool2d(kernel, stride, kernel // 2),
    }[kind]().to(device, memory_format=memory)
    x = torch.randn(size, device=device).contiguous(memory_format=memory).requires_grad_()
    gradient = torch.ones_like(module(x))

    def once():
        x.grad = None
        module(x).backward(gradient)

    once()
    runs = statistics.median(timed(once)[1]["cpu_s"] for _ in range(LAYER_REPEATS))
    return shape | {"step_cpu_s": runs * 2 * shape["count"]}


def main():
    model = Model(load_file(Path(folder) / "model.safetensors"))
    model.to(device, memory_format=memory)
    views = load_file(Path(folder) / "views.safetensors")
    views = [views[f"view{n}"].to(device).contiguous(memory_format=memory) for n in (0, 1)]
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=RATE, eps=1e-8)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=types == "bf16"):
            projections = [model(view) for view in views]
        loss = dcl(*[z.float() for z in projections])
        loss.backward()
        optimizer.step()
        return loss.item()

    done = [timed(step) for _ in range(steps)]
    counted = [times for _, times in done[min(2, steps - 1) :]]
    middle = lambda key: statistics.median(times[key] for times in counted)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {
        "step_s": middle("wall_s"),
        "step_cpu_s": middle("cpu_s"),
        "first_step_s": done[0][1]["wall_s"],
        "losses": [loss for loss, _ in done],
        "peak_bytes": peak,
        "device_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}",
    }
    if work.get("layers"):
        result["layers"] = [layer(shape, len(views[0])) for shape in work["layers"]]
    print(json.dumps(result))


main()
