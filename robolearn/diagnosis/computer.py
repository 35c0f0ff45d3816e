"""Processor, GPU, disk and shared memory."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from robolearn.control.workers import available_cores
from robolearn.diagnosis.finding import Finding

_LITTLE_DISK = 5e9
_LITTLE_SHARED = 1e9
_SHARED = Path("/dev/shm")
_DRIVER = Path("/proc/driver/nvidia/version")


def gpu() -> Iterator[Finding]:
    """What PyTorch would train on."""
    if importlib.util.find_spec("torch") is None:
        return  # said with the libraries
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            device = torch.cuda.get_device_properties(index)
            found = f"{device.name}, {_gigabytes(device.total_memory)}, CUDA {torch.version.cuda}"
            yield Finding(f"GPU {index}", "ok", found)
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple's, by Metal")
    elif _DRIVER.exists():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for no GPU"
        yield Finding(
            "GPU",
            "error",
            f"there is a driver of NVIDIA, which PyTorch {torch.__version__} ({built}) cannot use",
            "install PyTorch for the driver's CUDA: https://pytorch.org/get-started/locally",
        )
    else:
        yield Finding(
            "GPU", "missing", "none that PyTorch can use", "train on the processor, or elsewhere"
        )


def processor() -> Iterator[Finding]:
    """Cores that may be used."""
    cores, there = available_cores(), os.cpu_count() or 1
    found = f"{cores} cores" + f" of {there} may be used" * (cores < there)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        found += f"; OMP_NUM_THREADS is {threads}"
    yield Finding("processor", "ok", found)


def disk() -> Iterator[Finding]:
    """Where recordings and runs go, and where images are kept for training."""
    from robolearn.episodes.loading.image_cache import user_cache

    cache = user_cache() / "robolearn"
    for name, folder in (("disk", Path.cwd()), ("cache", cache)):
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(existing).free
        found = f"{_gigabytes(free)} free for {folder}"
        if not os.access(existing, os.W_OK):
            advice = "run robolearn in a folder of your own" if name == "disk" else _elsewhere()
            yield Finding(name, "error", f"{folder} cannot be written to", advice)
        elif free < _LITTLE_DISK:
            yield Finding(name, "warning", found, "free some space: images take gigabytes")
        else:
            yield Finding(name, "ok", found)


def shared_memory() -> Iterator[Finding]:
    """What worker processes hand their observations over in."""
    if not _SHARED.is_dir():
        return  # only Linux has it as a folder of a fixed size
    total = shutil.disk_usage(_SHARED).total
    if total < _LITTLE_SHARED:
        yield Finding(
            "shared memory",
            "warning",
            f"{_SHARED} has {_gigabytes(total)}, which worker processes may fill",
            "in a container: docker run --shm-size=2g",
        )
    else:
        yield Finding("shared memory", "ok", f"{_SHARED} has {_gigabytes(total)}")


def _elsewhere() -> str:
    return "set XDG_CACHE_HOME to a folder of your own"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
