"""Errors that a user can cause or meet. One line each: what is wrong and what to do."""


class RobolearnError(Exception):
    """Base of every error that the command turns into one line and exit status 2."""


class ShelfError(RobolearnError):
    """A task or an arm is unknown, or its TOML file is broken."""


class ConfigurationError(RobolearnError):
    """A configuration value is missing, misspelt or out of its range."""


class FolderInUse(RobolearnError):
    """An output folder already holds something else, or another process is writing to it."""


class DatasetError(RobolearnError):
    """A dataset cannot be read, or does not hold what was asked of it."""


class FeatureMismatch(RobolearnError):
    """The features of a dataset, an environment and a policy do not fit each other."""


class PolicyError(RobolearnError):
    """A policy folder is missing, truncated or of another version."""


class TrainingError(RobolearnError):
    """Training cannot start or go on."""


class SimulationError(RobolearnError):
    """The simulator could not be made or stopped answering."""


class MissingDependency(RobolearnError):
    """An optional package or a system library is not installed; the message names it."""


class NoDensity(RobolearnError):
    """A log-probability is asked of an action head that has none."""


class ArmError(RobolearnError):
    """An arm cannot be driven, or stopped answering; nothing is moving."""


class DeviceError(RobolearnError):
    """What a person drives with is absent, or stopped answering."""
