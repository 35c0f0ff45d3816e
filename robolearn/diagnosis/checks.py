"""All checks, by what they are about. A new one is a function, and a name here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from robolearn.diagnosis import arms, computer, installation, rendering, stepping
from robolearn.diagnosis.finding import Check, Finding
from robolearn.environments.targets import names_arm
from robolearn.errors import ConfigurationError, MissingDependency

TOPICS: dict[str, tuple[Check, ...]] = {
    "installation": (
        installation.python,
        installation.libraries,
        installation.extras,
        installation.python_path,
        installation.opencv,
    ),
    "simulation": (stepping.stepping,),
    "rendering": (rendering.gl_backend, rendering.drawing),
    "gpu": (computer.gpu,),
    "real": (arms.drivers, arms.ports, arms.cameras),
    "computer": (computer.processor, computer.disk, computer.shared_memory),
}
"""What `robolearn doctor` can be asked for."""


def examine(topics: Sequence[str] = (), *, connect: bool = False) -> Iterator[Finding]:
    """Run checks, one after the other.

    Args:
        topics: of `TOPICS`, or arms (``real:so101``); none are all of `TOPICS`. What is asked for
            by name and missing is an error.
        connect: look at the arms themselves, too, and not at their profiles alone.

    Raises:
        ConfigurationError: there is no such topic.
    """
    for topic in topics:
        if topic not in TOPICS and not names_arm(topic):
            raise ConfigurationError(f"doctor knows nothing of {topic!r}: ask for {known()}")
    for topic in dict.fromkeys(topics or TOPICS):
        for check in _checks(topic, connect=connect):
            for finding in _run(check):
                asked = bool(topics) and topic in TOPICS and finding.status == "missing"
                yield (
                    Finding(finding.name, "error", finding.found, finding.advice)
                    if asked
                    else finding
                )


def known() -> str:
    """The topics, in words."""
    return f"{', '.join(TOPICS)}, real:NAME"


def _checks(topic: str, *, connect: bool) -> tuple[Check, ...]:
    if topic in TOPICS:
        return TOPICS[topic]
    # What an arm needs of the machine stands before the arm itself.
    return (*TOPICS["real"], *arms.ProfileChecks(topic, connect=connect).checks())


def _run(check: Check) -> Iterator[Finding]:
    name = check.__name__.replace("_", " ")
    try:
        yield from check()
    except MissingDependency as error:
        yield Finding(name, "missing", str(error))
    except Exception as error:  # a check meets whatever is broken on a machine
        text = " ".join(str(error).split())
        yield Finding(name, "error", f"{type(error).__name__}: {text}")
