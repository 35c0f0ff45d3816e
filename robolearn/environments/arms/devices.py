"""LeRobot's drivers, made from what a profile says of them."""

from __future__ import annotations

import difflib
import importlib
import logging
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from robolearn.environments.arms.profile import Device
from robolearn.errors import ArmError, MissingDependency, RobolearnError, ShelfError

_OWN = "robolearn.environments.arms.drivers"
_ATTEMPTS = 4
PAUSE = 0.2
"""s, for `patiently`, where nothing waits for the answer."""
_LOST = re.compile("status packet|motor check failed", re.IGNORECASE)
"""What LeRobot says when servos did not answer, or not soundly."""
_NEEDED = "real arms need LeRobot's drivers: pip install 'robolearn[real]'"


def make_robot(device: Device, modules: Sequence[str] = ()) -> Any:
    """A LeRobot ``Robot``, not connected.

    Args:
        device: which; cameras are no part of it.
        modules: of Python, to be imported first.

    Raises:
        ShelfError: no driver has that name, or it knows no such options.
        MissingDependency: a library that it needs is not installed.
        ArmError: it cannot be made.
    """
    from lerobot.robots import RobotConfig, make_robot_from_config

    config = _config(device, RobotConfig, "lerobot.robots", modules)
    return _made(make_robot_from_config, config, device)


def make_teleoperator(device: Device, modules: Sequence[str] = ()) -> Any:
    """A LeRobot ``Teleoperator``, not connected; raises as `make_robot`."""
    from lerobot.teleoperators import TeleoperatorConfig, make_teleoperator_from_config

    config = _config(device, TeleoperatorConfig, "lerobot.teleoperators", modules)
    return _made(make_teleoperator_from_config, config, device)


def make_camera(name: str, device: Device, modules: Sequence[str] = ()) -> Any:
    """A LeRobot ``Camera``, not connected; raises as `make_robot`.

    Raises:
        ShelfError: it has no width, height or rate, too.
    """
    from lerobot.cameras import CameraConfig, make_cameras_from_configs

    config = _config(device, CameraConfig, "lerobot.cameras", modules)
    for option in ("width", "height", "fps"):
        if getattr(config, option) is None:
            raise ShelfError(f"[cameras.{name}.options] needs {option}")
    return _made(lambda config: make_cameras_from_configs({name: config})[name], config, device)


def parts_of(device: Any) -> list[Any]:
    """The arms of which a robot or a leader is made, or itself."""
    parts = [getattr(device, name, None) for name in ("left_arm", "right_arm")]
    return [part for part in parts if part is not None] or [device]


def patiently[T](
    do: Callable[[], T], meanwhile: Callable[[], None] = lambda: None, pause: float = 0.0
) -> T:
    """Ask a device again where its answer is lost.

    LeRobot waits 50 ms for a servo, and mostly asks once; on a busy machine that is too short at
    times.

    Args:
        do: what may fail.
        meanwhile: done after each failure; closes what it has left open.
        pause: s after the first failure, and twice as long after each further one: a busy machine
            is so for longer than the few times take.

    Raises:
        Exception: whatever ``do`` raises that is not about a lost answer, or does at the last time.
    """
    for attempt in range(_ATTEMPTS - 1):
        try:
            return do()
        except (ConnectionError, RuntimeError, IndexError) as error:
            if not _is_of_a_lost_answer(error):
                raise
        meanwhile()
        time.sleep(pause * 2**attempt)
    return do()


def _is_of_a_lost_answer(error: BaseException) -> bool:
    """LeRobot wraps what it is about; and the servos' library has an IndexError for an answer that
    came so late that it was taken for one to the next question.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, IndexError) or _LOST.search(str(cause)):
            return True
        cause = cause.__cause__
    return False


def _config(device: Device, base: Any, package: str, modules: Sequence[str]) -> Any:
    import draccus

    _import_all(modules)
    for register in _registering(package, device.type):
        if device.type in base.get_known_choices():
            break
        register()
    known = base.get_known_choices()
    if device.type not in known:
        raise ShelfError(
            f"there is no driver {device.type!r}; there are {', '.join(sorted(known))}"
        )
    try:
        return draccus.decode(base, {"type": device.type, **device.options})
    except Exception as error:  # draccus and the configurations raise what they like
        raise ShelfError(f"the options of {device.type} do not fit: {_one_line(error)}") from error


def _import_all(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingDependency(f"the module {module} cannot be imported: {error}") from error


def _registering(package: str, wanted: str) -> Iterator[Callable[[], None]]:
    """What makes drivers known: plugins, robolearn's own, and LeRobot's, the likeliest first.

    Importing all of LeRobot's takes long, and those whose libraries are missing are not there.
    """
    from lerobot.utils.import_utils import register_third_party_plugins

    yield register_third_party_plugins
    for parent in (_OWN, package):
        modules = [each.name for each in pkgutil.iter_modules(_path_of(parent))]
        modules.sort(key=lambda name: -difflib.SequenceMatcher(None, name, wanted).ratio())
        yield from (partial(_try_to_import, f"{parent}.{name}") for name in modules)


def _path_of(package: str) -> Any:
    return importlib.import_module(package).__path__


def _try_to_import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # its libraries are not installed, or broken
        logging.getLogger(__name__).debug("%s: %s", module, error)


def _made(make: Any, config: Any, device: Device) -> Any:
    try:
        return make(config)
    except Exception as error:  # drivers raise what they like, and LeRobot something else for it
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, RobolearnError):
                raise cause from error
            if isinstance(cause, ImportError):
                text = f"{device.type}: {_one_line(cause)} ({_NEEDED})"
                raise MissingDependency(text) from error
            cause = cause.__cause__
        raise ArmError(f"{device.type} cannot be made: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def described(error: BaseException) -> str:
    """An error of a driver in one line."""
    return f"{type(error).__name__}: {_one_line(error)}"
