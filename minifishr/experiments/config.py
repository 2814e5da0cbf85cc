"""The configuration of a run: everything that its numbers depend on, apart from the program."""

from typing import NamedTuple


class Config(NamedTuple):
    """One method, one problem, one seed. What `said` and `config_of` write and read is the same for ever."""

    algorithm: str  # the method's name
    hyper_parameters: dict  # all of its own, by name
    convention: str  # "paper" or "domainbed"
    preset: str  # where the rest comes from unless it was changed
    dataset: str  # "colored", "rotated", "linear", "cdsprites" or "own"
    test_domain: str  # the domain to leave out
    count: int | None  # rows of each training domain, None for all
    hidden: list  # widths of the hidden layers
    steps: int  # updates
    batch: int | None  # rows of each domain in an update, None for all
    every: int  # updates between two measurements
    seed: int
    size: int | None = None  # pixels of an image's side, where there are images
    start: float = 1  # the initial weights are Xavier's times this
    domains: int | None = None  # training domains, where the data set does not decide
    also_left_out: str | None = None  # a second domain to leave out
    invariances: bool = False  # measure what the run has made equal
    draw: int | None = None  # of the hyper-parameters in a sweep; None in a comparison
    matched: bool = False  # the penalty weight is in units of the penalty's own size
    data: str | None = None  # in a sweep, name and hash of the digits or arrays; None for the toys
    more_left_out: list | None = None  # further domains to leave out and to test on
    held_out: float = 0.2  # the share of a domain's rows that are held out, where the data set does not decide
    standardized: bool = False  # own data: on the training rows
    balanced: bool = False  # own data: classes weigh equally in the risk

    @property
    def left_out(self):
        """The names of the domains to leave out, one or more."""
        names = (self.test_domain, self.also_left_out, *(self.more_left_out or []))
        return [name for name in names if name is not None]


def said(config):
    """A configuration as a dict for JSON: fields with a default are left out where they have it.

    `data` is there in a sweep and nowhere else. A field that is added later has a default, so that no run that could
    be said before changes its identity.
    """
    found = {key: value for key, value in config._asdict().items() if value != Config._field_defaults.get(key, ...)}
    return found | ({"data": config.data} if config.draw is not None else {})


def config_of(found):
    """The configuration in a dict from JSON; TypeError where a field is missing, unknown or of another kind."""
    config = Config(**found)
    for name, kind in Config.__annotations__.items():
        value = getattr(config, name)
        if not isinstance(value, kind | int if kind is float else kind) or (type(value) is bool and kind is not bool):
            raise TypeError(f"{name}={value!r} in a configuration")
    if not all(type(width) is int for width in config.hidden):
        raise TypeError(f"hidden={config.hidden!r} in a configuration")
    if not all(type(name) is str for name in config.more_left_out or []):
        raise TypeError(f"more_left_out={config.more_left_out!r} in a configuration")
    return config
