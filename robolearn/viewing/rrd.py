"""A recording's file: it appears when it is whole, and one is looked over before it is shown."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import rerun as rr

from robolearn.errors import DatasetError

_LEAST_FREE = 1 << 20
_MAGIC = b"RRF"


@contextlib.contextmanager
def written(path: Path, title: str) -> Iterator[rr.RecordingStream]:
    """A recording that is in a file afterwards; after an error the file is as it was before.

    Args:
        path: of the ``.rrd`` file; one that is there is replaced.
        title: of the recording. The viewer keeps a layout for each; recordings with other contents
            need another.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.part")
    recording = rr.RecordingStream(f"robolearn: {title}")
    try:
        recording.save(staged)
        recording.send_recording_name(title)
        yield recording
        recording.flush()
        recording.disconnect()
        staged.replace(path)
    except RuntimeError as error:
        if shutil.disk_usage(path.parent).free > _LEAST_FREE:
            raise
        # All that Rerun says of a full disk is that its writer stopped.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        with contextlib.suppress(RuntimeError):
            recording.disconnect()
        staged.unlink(missing_ok=True)


def look_over(path: Path) -> bool:
    """Refuse a file that the viewer would show nothing of.

    Returns:
        Whether it is whole: what was written before it was cut off can be shown.

    Raises:
        DatasetError: it is no recording, or so cut off that nothing is left.
    """
    from rerun.experimental import RrdReader

    with path.open("rb") as file:
        begins = file.read(len(_MAGIC))
    if begins != _MAGIC:
        raise DatasetError(f"{path} is no Rerun recording, or it is cut off at its beginning")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = RrdReader(str(path)).recordings()
    except Exception as error:  # whatever a damaged file leads to
        reason = " ".join(str(error).split())
        raise DatasetError(f"{path} cannot be read, it is damaged or cut off: {reason}") from error
    if not found:
        raise DatasetError(f"{path} holds no recording: it is cut off, or was never finished")
    return not warned  # that there is no list of contents, which is written last
