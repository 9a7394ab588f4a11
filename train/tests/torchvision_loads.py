"""usage: torchvision_loads.py WEIGHTS VIEWS KIND

Loads exported weights into torchvision's network of that kind, strictly, and compares its features of
`views` with `features`, both of the file VIEWS. Prints {"largest": .., "difference": .., "foreign": ..};
where timm is installed, its network must give the same. `foreign` is a file of that network's own
weights, written beside VIEWS with torch's names, counters and classifier included, and `logits` of it.
"""

import json
import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file

weights, views, kind = sys.argv[1:]
given = load_file(views)
bands = given["views"].shape[1]


def network(classes=None):
    model = getattr(torchvision.models, kind)(num_classes=classes or 1)
    stem = model.conv1
    model.conv1 = torch.nn.Conv2d(
        bands, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=False
    )
    if classes is None:
        model.fc = torch.nn.Identity()
    return model.eval()


def difference(model):
    model.load_state_dict(load_file(weights), strict=True)
    with torch.no_grad():
        return float((model.eval()(given["views"]) - given["features"]).abs().max())


found = difference(network())
try:
    import timm
except ImportError:
    pass
else:
    found = max(found, difference(timm.create_model(kind, in_chans=bands, num_classes=0)))

torch.manual_seed(3)
other = network(classes=10)
# Running statistics that are not 0 and 1.
other.train()(torch.randn(8, *given["views"].shape[1:]))
other.eval()
foreign = Path(views).with_name(f"foreign-{kind}.safetensors")
save_file(other.state_dict(), foreign)
other.fc = torch.nn.Identity()
with torch.no_grad():
    save_file({"features": other(given["views"]).contiguous()}, foreign.with_suffix(".features"))
print(
    json.dumps(
        {
            "largest": float(given["features"].abs().max()),
            "difference": found,
            "foreign": str(foreign),
        }
    )
)
