"""robomimic's own dataset class opens what robolearn writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import PEERS_INDEX

PEERS = Path(__file__).parents[3] / ".peers"

# In a process of its own, so that robomimic's settings reach no other test.
PROGRAM = """
import json, sys
import numpy as np
import robomimic.utils.obs_utils as obs_utils
from robomimic.utils.dataset import SequenceDataset

path, mask, result = sys.argv[1:]
keys = ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "object"]
obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": keys, "rgb": []}})
dataset = SequenceDataset(
    hdf5_path=path, obs_keys=keys, dataset_keys=["actions", "rewards", "dones"],
    load_next_obs=False, frame_stack=1, seq_length=10, pad_seq_length=True,
    hdf5_cache_mode="all", filter_by_attribute=mask or None,
)
first = dataset[0]
with open(result, "w") as file:
    json.dump({
        "demos": dataset.n_demos,
        "windows": len(dataset),
        "actions": np.asarray(first["actions"]).tolist(),
        "obs": {name: np.asarray(values).tolist() for name, values in first["obs"].items()},
    }, file)
"""


def open_with_robomimic(path: Path, mask: str, folder: Path) -> dict[str, Any]:
    result = folder / "result.json"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(path), mask, str(result)],
        env={"PYTHONPATH": str(PEERS), "HOME": str(folder)},
        capture_output=True,
        check=True,
    )
    opened: dict[str, Any] = json.loads(result.read_text())
    return opened


@pytest.mark.robomimic
@pytest.mark.skipif(not (PEERS / "robomimic").is_dir(), reason="robomimic is not in .peers")
@pytest.mark.parametrize(
    ("file", "mask", "demos", "first"),
    [
        (PEERS_INDEX, "", 20, 0),
        (PEERS_INDEX, "train", 18, 0),
        (PEERS_INDEX, "valid", 2, 9),
        ("episodes/episode_000002.hdf5", "", 1, 2),
    ],
)
def test_robomimic_sees_the_same_numbers(
    lift_demonstrations: Path, tmp_path: Path, file: str, mask: str, demos: int, first: int
) -> None:
    opened = open_with_robomimic(lift_demonstrations / file, mask, tmp_path)
    assert (opened["demos"], opened["windows"]) == (demos, 80 * demos)
    episode = open_dataset(lift_demonstrations).episode(first)
    np.testing.assert_array_equal(opened["actions"], episode.actions[:10])
    for key, feature in (
        ("object", "observation.environment_state"),
        ("robot0_eef_pos", "observation.state.robot0_eef_pos"),
        ("robot0_eef_quat", "observation.state.robot0_eef_quat"),
    ):
        np.testing.assert_array_equal(opened["obs"][key], episode.observations[feature][:10])
