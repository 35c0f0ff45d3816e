"""A policy on disk: a folder with safetensors and JSON, no pickle.

::

    POLICY/
      model.safetensors   weights and normalisation statistics
      config.json         format version, network, feature schema
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from robolearn.errors import PolicyError
from robolearn.folders import commit
from robolearn.policies.config import PolicyConfig
from robolearn.policies.migration import from_version_1
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

FORMAT_VERSION = 2
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a policy. The folder appears when it is complete.

    Args:
        policy: to write.
        folder: that does not exist.

    Raises:
        OSError: the folder is there, or the disk is full.
    """
    staged = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    (staged / _WEIGHTS).write_bytes(save(policy.state_dict()))
    description = {
        "format_version": FORMAT_VERSION,
        "policy": dataclasses.asdict(policy.config),
        "schema": policy.schema.to_json(),
    }
    (staged / _CONFIG).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    commit(staged, folder)


def is_policy(folder: Path) -> bool:
    """Whether a folder is what `save_policy` wrote."""
    return (folder / _CONFIG).is_file() and (folder / _WEIGHTS).is_file()


def policy_folder(folder: Path) -> Path:
    """Where the policy is: in a run folder it is ``policy``, else the folder is its own."""
    return folder / "policy" if (folder / "policy").is_dir() else folder


def load_policy(folder: Path) -> Policy:
    """Read a policy, ready to decide.

    Args:
        folder: that `save_policy` wrote, or a run folder that holds it as ``policy``.

    Raises:
        PolicyError: there is none, or it is truncated or of another version; names the file.
    """
    folder = policy_folder(folder)
    path = folder / _CONFIG
    if not path.is_file() and (folder / "config.toml").is_file():
        raise PolicyError(
            f"{folder} has no policy yet, its training was not finished; "
            "the command that began it goes on with --resume"
        )
    if not path.is_file():
        raise PolicyError(f"there is no policy in {folder}: {_CONFIG} is missing")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format_version"]
    except Exception as error:  # whatever a damaged or hostile description leads to
        raise PolicyError(f"{path}: no readable policy: {_one_line(error)}") from error
    if version not in (1, FORMAT_VERSION):
        raise PolicyError(
            f"{path}: format version {version}, and this robolearn reads 1 to {FORMAT_VERSION}"
        )
    try:
        weights = load_file(folder / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise PolicyError(f"{folder / _WEIGHTS}: no readable weights: {error}") from error
    try:
        if version == 1:
            description, weights = from_version_1(description, weights)
        config = TypeAdapter(PolicyConfig).validate_python(description["policy"])
        policy = Policy(PolicySchema.from_json(description["schema"]), config)
    except Exception as error:  # likewise, in torch too
        raise PolicyError(f"{path}: no readable policy: {_one_line(error)}") from error
    try:
        policy.load_state_dict(weights)
    except RuntimeError as error:
        raise PolicyError(
            f"{folder / _WEIGHTS}: no readable weights, they are of another network: "
            f"{_one_line(error)}"
        ) from error
    return policy.eval()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
