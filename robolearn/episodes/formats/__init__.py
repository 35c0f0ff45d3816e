"""Which form a dataset has on the disk, told by what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from robolearn.episodes.dataset import Dataset, DatasetWriter
from robolearn.episodes.images import CodecName
from robolearn.errors import ConfigurationError, DatasetError

type FormatName = Literal["folder", "hdf5", "zarr", "lerobot"]

type ImageForm = CodecName | Literal["jpegxl", "jpeg2k", "png", "video"]
"""How images are kept: each format has some of these."""


def open_dataset(path: Path | str) -> Dataset:
    """Open a dataset of any form.

    - a folder with ``episodes/*.hdf5``: robolearn's own, see `robolearn.episodes.formats.folder`;
    - a file ``*.hdf5``: robomimic's or robosuite's;
    - a folder or ``*.zarr.zip`` with ``meta/episode_ends``: a replay buffer of Diffusion Policy or
      UMI;
    - a folder with ``meta/info.json``: LeRobot's, version 3;
    - a folder with ``ep_*``: what robosuite's ``DataCollectionWrapper`` writes.

    Raises:
        DatasetError: there is nothing, or nothing readable.
    """
    from robolearn.episodes.formats.folder import FolderDataset
    from robolearn.episodes.formats.hdf5_file import Hdf5Dataset

    path = Path(path)
    if not path.exists():
        raise DatasetError(f"there is no dataset {path}")
    if path.is_file():
        if path.suffix != ".zip":
            return Hdf5Dataset(path)
        from robolearn.episodes.formats.replay_buffer import ReplayBufferDataset

        return ReplayBufferDataset(path)
    if (path / "episodes").is_dir():
        return FolderDataset(path)
    if (path / ".zgroup").is_file() or (path / "zarr.json").is_file():
        from robolearn.episodes.formats.replay_buffer import ReplayBufferDataset

        return ReplayBufferDataset(path)
    if (path / "meta" / "info.json").is_file():
        from robolearn.episodes.formats.lerobot_v3 import LeRobotV3Dataset

        return LeRobotV3Dataset(path)
    if any(path.glob("ep_*/state_*.npz")):
        from robolearn.episodes.formats.robosuite_collection import RobosuiteCollection

        return RobosuiteCollection(path)
    raise DatasetError(
        f"{path} is no dataset: it has no episodes/*.hdf5, no replay buffer, no meta/info.json"
    )


def format_of(path: Path) -> FormatName:
    """The form that the name of a dataset to be written asks for."""
    if path.suffix in {".hdf5", ".h5"}:
        return "hdf5"
    if path.name.endswith((".zarr", ".zarr.zip")):
        return "zarr"
    return "folder"


def open_writer(
    path: Path | str, form: FormatName | None = None, images: ImageForm | None = None
) -> DatasetWriter:
    """Begin a new dataset, or go on with one where its form allows it.

    Args:
        path: of the folder or file.
        form: None tells it by the name's ending.
        images: how images are kept; None is what the form does by itself, without loss.

    Raises:
        ConfigurationError: the form keeps no images in that way.
        FolderInUse: the path holds something else, or another process is writing there.
    """
    path = Path(path)
    form = form or format_of(path)
    match form:
        case "folder":
            from robolearn.episodes.formats.folder import FolderWriter

            return FolderWriter(path, images=_hdf5_form(images, form))
        case "hdf5":
            from robolearn.episodes.formats.hdf5_file import Hdf5Writer

            return Hdf5Writer(path, images=_hdf5_form(images, form))
        case "zarr":
            from robolearn.episodes.formats.replay_buffer import ReplayBufferWriter

            return ReplayBufferWriter(
                path, images=_among(images, ("lossless", "raw", "jpegxl", "jpeg2k"), form)
            )
        case "lerobot":
            from robolearn.episodes.formats.lerobot_v3 import LeRobotV3Writer

            return LeRobotV3Writer(path, images=_among(images, ("png", "video"), form))


def _hdf5_form(asked: ImageForm | None, form: str) -> CodecName | None:
    codecs: tuple[CodecName, ...] = ("lossless", "raw", "jpeg")
    return None if asked is None else _among(asked, codecs, form)


def _among[Name: str](asked: str | None, kept: tuple[Name, ...], form: str) -> Name:
    """The asked name if it is one of those, the first of them if nothing was asked."""
    for name in kept:
        if asked in {None, name}:
            return name
    raise ConfigurationError(
        f"images: the format {form} keeps them as {', '.join(kept)}, not {asked}"
    )
