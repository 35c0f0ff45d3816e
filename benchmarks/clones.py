"""The same policy for robolearn and for robomimic 0.3.0, to be cloned from the same HDF5 file.

``mlp`` sees one frame through two layers of 1,024, ``rnn`` ten frames through two LSTM layers of
400; a mixture of five Gaussians decides. Batches are of 100 windows. That is what robomimic's
authors published for low-dimensional observations (Mandlekar et al. 2021), and what is not named
here is as robomimic's config has it. Of ours, dropout is left out, as robomimic has none; the
moving average of the weights and the gradient's limit stay, which robomimic does without.

Needs robomimic in .peers.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any, Literal

import torch

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, Observation
from robolearn.learning.config import CloningConfig
from robolearn.policies.action_heads.config import ActionHeadConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig

PEERS = Path(__file__).parents[1] / ".peers"
BATCH = 100
FRAMES = 10
LAYERS = {"mlp": (1024, 1024), "rnn": (400, 400)}
KEYS = {
    "observation.state.robot0_eef_pos": "robot0_eef_pos",
    "observation.state.robot0_eef_quat": "robot0_eef_quat",
    "observation.state.robot0_gripper_qpos": "robot0_gripper_qpos",
    "observation.environment_state": "object",
}
"""What the policies see, by robolearn's name and by robomimic's, whose published choice it is."""

type Network = Literal["mlp", "rnn"]


def robolearn_config(
    network: Network,
    steps: int,
    learning_rate: float,
    seed: int,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> CloningConfig:
    memory = MemoryConfig(
        kind="stack" if network == "mlp" else "lstm",
        history=1 if network == "mlp" else FRAMES,
        hidden=LAYERS[network],
        dropout=0.0,
    )
    return CloningConfig(
        policy=PolicyConfig(
            inputs=tuple(KEYS), memory=memory, action=ActionHeadConfig(head="mixture")
        ),
        steps=steps,
        batch=BATCH,
        learning_rate=learning_rate,
        precision=precision,
        seed=seed,
    )


class RobomimicCloning:
    """robomimic's algorithm with its DataLoader, put together as its ``scripts/train.py`` does.

    Args:
        file: HDF5, of whose mask ``train`` it learns.
        network: of the policy.
        learning_rate: which it keeps, as published.
        seed: of the weights and of the order of the windows.
    """

    def __init__(self, file: Path, network: Network, learning_rate: float, seed: int) -> None:
        if str(PEERS) not in sys.path:
            sys.path.append(str(PEERS))
        # robomimic's training writes videos with it, of which there are none here.
        sys.modules.setdefault("imageio", types.ModuleType("imageio"))
        with _quiet():
            import robomimic.utils.file_utils as file_utils
            import robomimic.utils.obs_utils as obs_utils
            import robomimic.utils.train_utils as train_utils
            from robomimic.algo import RolloutPolicy, algo_factory

            config = _robomimic_config(file, network, learning_rate)
            torch.manual_seed(seed)
            obs_utils.initialize_obs_utils_with_config(config)
            shapes = file_utils.get_shape_metadata_from_dataset(
                str(file), config.all_obs_keys, verbose=False
            )
            self.algorithm = algo_factory(
                config.algo_name,
                config,
                shapes["all_shapes"],
                shapes["ac_dim"],
                torch.device("cpu"),
            )
            dataset, _ = train_utils.load_data_for_training(config, shapes["all_obs_keys"])
        self._loader = torch.utils.data.DataLoader(
            dataset, sampler=None, batch_size=BATCH, shuffle=True, num_workers=0, drop_last=True
        )
        self._epoch = 0
        self._run_epoch = train_utils.run_epoch
        self._rollout_policy = RolloutPolicy

    def train(self, steps: int) -> dict[str, float]:
        """One of robomimic's epochs, which is any number of steps; gives its log."""
        self._epoch += 1
        with _quiet():
            log: dict[str, float] = self._run_epoch(
                self.algorithm, self._loader, self._epoch, num_steps=steps
            )
            self.algorithm.on_epoch_end(self._epoch)
        return log

    def agent(self) -> RobomimicAgent:
        return RobomimicAgent(self._rollout_policy(self.algorithm))


class RobomimicAgent(Agent):
    """Drives by robomimic's ``RolloutPolicy``.

    Args:
        policy: that.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def reset(self, seed: int) -> None:
        torch.manual_seed(seed)
        self._policy.start_episode()

    def act(self, observation: Observation) -> Array:
        action: Array = self._policy({key: observation.values[name] for name, key in KEYS.items()})
        return action


def _robomimic_config(file: Path, network: Network, learning_rate: float) -> Any:
    from robomimic.config import config_factory

    config = config_factory("bc")
    with config.values_unlocked():
        config.train.data = str(file)
        config.train.hdf5_filter_key = "train"
        config.train.batch_size = BATCH
        config.train.cuda = False
        config.experiment.validate = False
        config.observation.modalities.obs.low_dim = list(KEYS.values())
        config.algo.gmm.enabled = True
        config.algo.optim_params.policy.learning_rate.initial = learning_rate
        if network == "rnn":  # as its scripts/generate_paper_configs.py
            config.train.seq_length = FRAMES
            config.algo.rnn.enabled = True
            config.algo.rnn.horizon = FRAMES
            config.algo.rnn.hidden_dim = LAYERS["rnn"][0]
            config.algo.rnn.num_layers = len(LAYERS["rnn"])
            config.algo.actor_layer_dims = ()
        else:
            config.algo.actor_layer_dims = LAYERS["mlp"]
    config.lock()
    return config


@contextlib.contextmanager
def _quiet() -> Any:
    """Without what robomimic prints."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        yield
