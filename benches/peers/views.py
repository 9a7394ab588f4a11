"""Two augmented views of every patch, by one peer on one thread, or by a loader with two workers.

usage: views.py NAME RAW|STORE SCALES SECONDS SEED      prints one JSON document

All do the policy `peers`: a square crop with its side uniform in 0.8 .. 1, resized bilinearly, flips, a
quarter turn, brightness and contrast by band (0.2 .. 1.8, contrast about the mean of the band's view), the
mean over bands with p = 0.25, a blur of 0.1 .. 2 px with p = 0.25, noise of 0.1 with p = 0.25; 12 bands of
120 x 120 pixels, scaled by SCALES, as float32 in a buffer of 64 views that is filled again and again.
Chips are uint16 [12, 120, 120] in memory, their 20 m and 60 m bands brought to 10 m beforehand; loaders
start from the raw GeoTIFFs or from the store, and bring them to 10 m themselves.
"""

import json
import math
import os
import sys
import time
from importlib.metadata import version

import numpy as np
import torch

from convert import GROUPS, patch_folders, read_patch

SIDE, CHIPS, RING = 120, 64, 64
WAVELENGTH = ("B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12").split()
GROUP_OF = {band: group for group, bands in GROUPS.items() for band in bands}
TICKS = os.sysconf("SC_CLK_TCK")


def to_grid(bands):
    """{band: raster} -> uint16 [12, 120, 120]."""
    import cv2

    grid = lambda raster: cv2.resize(raster, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.stack([grid(bands[band]) for band in WAVELENGTH])


class Jitter:
    """Brightness and contrast by band, then the mean over bands: as tensors [..., 12, 120, 120], since the
    libraries' own jitters know three channels only."""

    def __call__(self, x):
        factors = torch.empty(2, *x.shape[:-2], 1, 1).uniform_(0.2, 1.8)
        x = x * factors[0]
        mean = x.mean((-2, -1), keepdim=True)
        x = mean + factors[1] * (x - mean)
        grey = torch.rand(x.shape[:-3] + (1, 1, 1)) < 0.25
        return torch.where(grey, x.mean(-3, keepdim=True), x)


class Turn:
    def __call__(self, x):
        return torch.rot90(x, int(torch.randint(4, ())), (-2, -1))


def torchvision_policy():
    from torchvision.transforms import v2

    crop = v2.RandomResizedCrop(SIDE, scale=(0.64, 1.0), ratio=(1.0, 1.0), antialias=False)
    blur = v2.RandomApply([v2.GaussianBlur(13, (0.1, 2.0))], 0.25)
    noise = v2.RandomApply([v2.GaussianNoise(0.0, 0.1, clip=False)], 0.25)
    flips = [v2.RandomHorizontalFlip(0.5), v2.RandomVerticalFlip(0.5)]
    return v2.Compose([crop, *flips, Turn(), Jitter(), blur, noise])


def each(chips, ring, one):
    """Two views of every chip, into the ring, by a function chip -> view [12, 120, 120]."""
    for start in range(0, CHIPS, RING // 2):
        for i in range(RING // 2):
            for view in range(2):
                ring[2 * i + view] = one(chips[start + i])
        yield RING


def torchvision(chips, scales, ring):
    gain, offset = (torch.from_numpy(s)[:, None, None] for s in scales)
    chips, policy = torch.from_numpy(chips), torchvision_policy()
    return each(chips, torch.from_numpy(ring), lambda c: policy(c.float() * gain + offset))


def kornia(chips, scales, ring):
    import kornia.augmentation as K

    gain, offset = (torch.from_numpy(s)[:, None, None] for s in scales)
    policy = K.AugmentationSequential(
        K.RandomResizedCrop((SIDE, SIDE), scale=(0.64, 1.0), ratio=(1.0, 1.0), cropping_mode="resample"),
        K.RandomHorizontalFlip(p=0.5),
        K.RandomVerticalFlip(p=0.5),
        K.RandomRotation90(times=(0, 3), p=1.0),
        data_keys=["input"],
    )
    blur = K.RandomGaussianBlur((13, 13), (0.1, 2.0), p=0.25)
    noise = K.RandomGaussianNoise(0.0, 0.1, p=0.25)
    chips, ring, jitter = torch.from_numpy(chips), torch.from_numpy(ring), Jitter()
    for start in range(0, CHIPS, RING // 2):
        batch = chips[start : start + RING // 2].float() * gain + offset
        ring[:] = noise(blur(jitter(policy(batch.repeat(2, 1, 1, 1)))))
        yield RING


def albumentations(chips, scales, ring):
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)
    rng = np.random.default_rng()

    def jitter(image, **_):
        factors = rng.uniform(0.2, 1.8, (2, len(WAVELENGTH))).astype(np.float32)
        image = image * factors[0]
        mean = image.mean((0, 1))
        image = mean + factors[1] * (image - mean)
        if rng.random() < 0.25:
            image = np.repeat(image.mean(2, keepdims=True), image.shape[2], 2)
        return image

    size = {"scale": (0.64, 1.0), "ratio": (1.0, 1.0), "interpolation": cv2.INTER_LINEAR}
    policy = A.Compose(
        [
            A.RandomResizedCrop((SIDE, SIDE), p=1.0, **size),
            A.HorizontalFlip(p=0.5),
            A.VerticalFlip(p=0.5),
            A.RandomRotate90(p=1.0),
            A.Lambda(image=jitter, p=1.0),
            A.GaussianBlur(blur_limit=(13, 13), sigma_limit=(0.1, 2.0), p=0.25),
            A.GaussNoise(std_range=(0.1, 0.1), per_channel=True, p=0.25),
        ]
    )
    gain, offset = scales

    def one(chip):
        image = np.ascontiguousarray(chip.transpose(1, 2, 0)).astype(np.float32) * gain + offset
        return policy(image=image)["image"].transpose(2, 0, 1)

    return each(chips, ring, one)


def opencv(chips, scales, ring):
    """By hand, plane by plane: the fastest that numpy and OpenCV were found to do."""
    import cv2

    cv2.setNumThreads(1)
    rng = np.random.default_rng()
    gain, offset = scales

    def one(chip):
        side = int(rng.integers(96, SIDE + 1))
        top, left = rng.integers(0, SIDE - side + 1, 2)
        flip_x, flip_y, turns = rng.random() < 0.5, rng.random() < 0.5, int(rng.integers(4))
        factors = rng.uniform(0.2, 1.8, (2, len(chip))).astype(np.float32)
        sigma = rng.uniform(0.1, 2.0) if rng.random() < 0.25 else None
        view = np.empty(chip.shape, np.float32)
        for band, plane in enumerate(chip):
            x = plane[top : top + side, left : left + side].astype(np.float32)
            x = cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            x = np.rot90(x[:: -1 if flip_y else 1, :: -1 if flip_x else 1], turns)
            brightness, contrast = factors[:, band]
            # m + c (b x - m) with m = b mean(x), the scaling of the chip folded in.
            mean = cv2.mean(np.ascontiguousarray(x))[0]
            a = gain[band] * brightness * contrast
            b = (gain[band] * mean * (1 - contrast) + offset[band]) * brightness
            np.multiply(x, a, out=view[band])
            view[band] += np.float32(b)
        if rng.random() < 0.25:
            view[:] = view.mean(0)
        if sigma is not None:
            for plane in view:
                plane[:] = cv2.GaussianBlur(plane, (13, 13), sigma, borderType=cv2.BORDER_REFLECT_101)
        if rng.random() < 0.25:
            view += rng.standard_normal(view.shape, np.float32) * np.float32(0.1)
        return view

    return each(chips, ring, one)


class Patches(torch.utils.data.Dataset):
    """Patches from where they lie, two views each."""

    def __init__(self, path, scales, is_store):
        self.path, self.is_store = path, is_store
        self.gain, self.offset = (torch.from_numpy(s)[:, None, None] for s in scales)
        self.policy, self.folders, self.arrays = torchvision_policy(), None, None
        if is_store:
            import zarr

            self.length = zarr.open_group(path, mode="r")["10m"].shape[0]
        else:
            self.folders = patch_folders(path)
            self.length = len(self.folders)

    def __len__(self):
        return self.length

    def bands(self, i):
        if not self.is_store:
            return read_patch(self.folders[i])
        if self.arrays is None:
            import zarr

            root = zarr.open_group(self.path, mode="r")
            self.arrays = {group: root[group] for group in GROUPS}
        groups = {group: array[i] for group, array in self.arrays.items()}
        return {band: groups[GROUP_OF[band]][GROUPS[GROUP_OF[band]].index(band)] for band in WAVELENGTH}

    def __getitem__(self, i):
        torch.set_num_threads(1)
        chip = torch.from_numpy(to_grid(self.bands(i))).float() * self.gain + self.offset
        return torch.stack([self.policy(chip), self.policy(chip)])


def worker_seconds(workers):
    """User and system seconds of processes, by Linux's account of them."""
    used = 0
    for worker in workers:
        fields = open(f"/proc/{worker.pid}/stat").read().rsplit(")", 1)[1].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


def loader(path, scales, seconds, is_store):
    """A DataLoader with two workers; its workers' start, with all imports, is not counted."""
    data = Patches(path, scales, is_store)
    sizes = {"batch_size": 16, "num_workers": 2, "prefetch_factor": 2, "persistent_workers": True}
    batches = torch.utils.data.DataLoader(data, shuffle=True, drop_last=True, **sizes)
    iterator = iter(batches)
    for _ in range(5):
        next(iterator)
    workers = iterator._workers
    used = lambda: time.process_time() + worker_seconds(workers)
    views, cpu, wall = 0, used(), time.perf_counter()
    total, squares = 0.0, 0.0
    while time.perf_counter() - wall < seconds:
        try:
            batch = next(iterator)
        except StopIteration:
            iterator = iter(batches)  # the same, persistent workers
            continue
        views += batch.shape[0] * batch.shape[1]
        total, squares = total + batch[:, 0].mean().item(), squares + 1
    wall, cpu = time.perf_counter() - wall, used() - cpu
    return {"views": views, "wall_s": wall, "cpu_s": cpu, "mean": total / squares, "std": None}


def in_memory(peer, path, scales, seconds):
    folders = patch_folders(path)[:CHIPS]
    chips = np.stack([to_grid(read_patch(folder)) for folder in folders])
    ring = np.zeros((RING, len(WAVELENGTH), SIDE, SIDE), np.float32)
    for _ in peer(chips, scales, ring):  # warms up
        pass
    views, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        for count in peer(chips, scales, ring):
            views += count
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"views": views, "wall_s": wall, "cpu_s": cpu} | moments(peer, chips, scales, ring)


def moments(peer, chips, scales, ring):
    """Mean and deviation over some thousand views: all must do the same work."""
    means, squares = [], []
    for _ in range(16):
        for _ in peer(chips, scales, ring):
            means.append(ring.mean(dtype=np.float64))
            squares.append(np.square(ring, dtype=np.float64).mean())
    mean = float(np.mean(means))
    return {"mean": mean, "std": math.sqrt(float(np.mean(squares)) - mean * mean)}


PEERS = {
    "torchvision": (torchvision, ["torchvision", "torch"]),
    "kornia": (kornia, ["kornia", "torch"]),
    "albumentations": (albumentations, ["albumentations", "opencv-python-headless"]),
    "opencv": (opencv, ["opencv-python-headless", "numpy"]),
    "loader-rasterio": (None, ["torch", "torchvision", "rasterio"]),
    "loader-zarr": (None, ["torch", "torchvision", "zarr"]),
}


def main():
    name, path, scales, seconds, seed = sys.argv[1:6]
    # affine[band] = [gain, offset], as chipmill scales: x = gain * digital number + offset.
    affine = np.array(json.loads(scales), np.float32)
    scales, seconds = (affine[:, 0].copy(), affine[:, 1].copy()), float(seconds)
    torch.manual_seed(int(seed))
    torch.set_num_threads(1)
    peer, packages = PEERS[name]
    if peer is None:
        measured = loader(path, scales, seconds, name == "loader-zarr")
    else:
        with torch.inference_mode():
            measured = in_memory(peer, path, scales, seconds)
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(json.dumps(measured | {"versions": versions}))


if __name__ == "__main__":
    main()
