"""Reading the settings for a command that runs locally."""

from pathlib import Path

from yaml import YAMLError

from serving.cli.failures import BadSettings
from serving.settings import InvalidSettings, Settings, load_settings


def read_settings(config: Path | None = None, **given: object) -> Settings:
    """The settings with the options that were given; None was not. Raises `BadSettings`."""
    try:
        return load_settings(config, **{name: value for name, value in given.items() if value is not None})
    except InvalidSettings as error:
        raise BadSettings(str(error), error.hint) from error
    except (YAMLError, OSError, ValueError, TypeError) as error:
        sentence = f"{config} cannot be read as settings: {' '.join(str(error).split())}"
        raise BadSettings(sentence, "it must be YAML with one setting per line, such as `port: 8080`") from error
