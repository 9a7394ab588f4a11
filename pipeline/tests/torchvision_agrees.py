"""Compares views with what torchvision makes of the same image and the same draws.

usage: torchvision_agrees.py CASES.json

A case names an operation, its drawn parameters, and two files of little-endian float32 [band, y, x]: the
image before the operation and the view after it. Prints one line a case; the exit status is 1 when one
differs by more than its tolerance.
"""

import colorsys
import json
import sys

import numpy as np
import torch
import torchvision
from torchvision.transforms import functional as tv


def load(path, shape):
    return torch.from_numpy(np.fromfile(path, dtype="<f4").reshape(shape))


def zoomed(image, case):
    top, left, height, width = (case[k] for k in ("top", "left", "height", "width"))
    window = image[:, top : top + height, left : left + width]
    # With antialias=True torch uses Keys' kernel with a = -0.5 and leaves out what is beyond the border, as
    # Pillow and chipmill do; a crop is only ever enlarged here, so nothing is smoothed.
    size = list(case["shape"][1:])
    return torch.nn.functional.interpolate(
        window[None], size=size, mode=case["filter"], align_corners=False, antialias=True
    )[0]


def blurred(image, case):
    size = 2 * case["radius"] + 1
    return tv.gaussian_blur(image, [size, size], [case["sigma"]] * 2)


def brightened(image, case):
    return tv.adjust_brightness(image, case["factor"])


def contrasted(image, case):
    # torchvision takes the mean of the grey image: with one band the band's own.
    return torch.cat([tv.adjust_contrast(band[None], case["factor"]) for band in image])


def hue_shifted(image, case):
    return tv.adjust_hue(image, case["factor"])


def saturated(image, case):
    # torchvision blends with grey; the definition in HSV is Python's own.
    def pixel(rgb):
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        return colorsys.hsv_to_rgb(h, min(1.0, s * case["factor"]), v)

    pixels = image.reshape(3, -1).T.double().tolist()
    return torch.tensor([pixel(p) for p in pixels]).T.reshape(image.shape).float()


OPERATIONS = {
    "zoom_scale": (zoomed, 1e-5),
    "gaussian_blur": (blurred, 1e-5),
    "brightness": (brightened, 1e-6),
    "contrast": (contrasted, 1e-5),
    "hue": (hue_shifted, 1e-5),
    "saturation": (saturated, 1e-5),
}


def main():
    bad = 0
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        operation, tolerance = OPERATIONS[case["op"]]
        before, after = (load(case[k], case["shape"]) for k in ("before", "after"))
        worst = (operation(before, case) - after).abs().max().item()
        verdict = "agrees" if worst <= tolerance else "DIFFERS"
        bad += worst > tolerance
        print(f"{case['op']}: {verdict}, at most {worst:.1e} apart")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    return 1 if bad or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
