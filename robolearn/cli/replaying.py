"""What ``robolearn replay`` does on a real arm: the second pass, without the hand in the images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from robolearn.cli.command import Stopped
from robolearn.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from robolearn.cli.replay import Replay
    from robolearn.episodes.dataset import Dataset
    from robolearn.episodes.frames import EpisodeContext


def replay_on_arm(command: Replay, target: str, dataset: Dataset, indices: Sequence[int]) -> int:
    """Do the recorded actions again on an arm, and record what its cameras see of that.

    Returns:
        `DONE` where each episode came to its end and did not fail.
    """
    from robolearn.agents.replaying import Replaying
    from robolearn.cli.deploy import told
    from robolearn.control.driving import Person, drive
    from robolearn.environments.arms.environment import LeRobotEnvironment
    from robolearn.environments.arms.presence import present
    from robolearn.environments.arms.profile import load_arm
    from robolearn.episodes.features import STATE
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.labels import Labels
    from robolearn.errors import ConfigurationError

    if command.to is None:
        raise ConfigurationError("--to: name a dataset for what the arm's cameras see of it")
    if command.from_seed:
        raise ConfigurationError("--from-seed is of a simulator; a person puts things back")
    kept = failed = 0
    with ExitStack() as held:
        here = held.enter_context(present(load_arm(target)))
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        person = Person(environment)
        keys = held.enter_context(person.keys())  # which stop it on its way home, too
        held.callback(environment.close)
        _require_same_actions(dataset.context, environment.context, dataset, target)
        writer = held.enter_context(FolderWriter(command.to))
        agent = Replaying(lambda: setattr(environment, "stop", True))
        try:
            for index in indices:
                episode = dataset.episode(index)
                number = dataset.summaries[index].number
                environment.start = partial(np.copy, episode.observations[STATE][0])
                agent.follow(episode)
                if keys.listening and here.stage is None:
                    command.console.say(
                        f"put everything back as it was at the beginning of episode {number}, "
                        "step back, and press Enter; Space or Escape halt the arm"
                    )
                    person.await_word()
                if person.stopped:
                    break
                seed = episode.context.seed or 0
                labels = Labels(task=episode.context.task, operator=episode.operator or None)
                driven = drive(
                    environment, agent, "replay", 1, person, writer, labels, [seed], "lossless"
                )
                for one in driven:
                    whole = one.outcome.steps == len(episode)
                    kept += one.kept is not None
                    failed += one.held is False or not whole
                    command.console.say(f"episode {number} again: {told(one, 1)}")
                    if one.halted:
                        command.console.say(f"the arm was brought to a halt: {one.halted}")
        except KeyboardInterrupt:
            raise Stopped(
                f"the arm was brought to a halt and holds where it is; {kept} episodes were "
                f"replayed into {command.to}"
            ) from None
        command.console.say(
            f"{kept} of {len(indices)} episodes were replayed on {target} into {command.to}, of "
            f"which {failed} failed or were broken off"
        )
        command.console.result(
            {
                "dataset": dataset.path,
                "on": target,
                "to": command.to,
                "recorded": kept,
                "failed": failed,
            }
        )
    return DONE if kept == len(indices) and not failed else ANSWER_IS_NO


def _require_same_actions(
    recorded: EpisodeContext, now: EpisodeContext, dataset: Dataset, target: str
) -> None:
    from robolearn.errors import FeatureMismatch

    if not now.action.accepts(recorded.action) or now.action.shape != recorded.action.shape:
        raise FeatureMismatch(
            f"the actions of {dataset.path} are not those of {target}: they were recorded with "
            f"{', '.join(recorded.action.names or ())}, and it takes "
            f"{', '.join(now.action.names or ())}, or their ranges differ"
        )
    if abs(recorded.rate - now.rate) > 1e-6:
        raise FeatureMismatch(
            f"{dataset.path} was recorded at {recorded.rate:g} Hz, and {target} runs at "
            f"{now.rate:g} Hz: the motion would not be the same"
        )
