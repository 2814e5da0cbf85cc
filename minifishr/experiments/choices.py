"""What may replace a preset's numbers, and what may be done to own data."""

from .presets import TOYS


def choices(base, **given):
    """What replaces the preset's `count`, `size`, `hidden` and `batch` (a number or "all"), the share `held_out` and,
    for own data, `standardized`, `balanced` and `more_left_out`; own data use all rows unless said. ValueError for
    what cannot be or has no effect."""
    dataset, own = base["dataset"], base["dataset"] == "own"
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    for name in ("standardized", "balanced", "more_left_out"):
        if name in given and not own:
            raise ValueError(f"{name} is for data of your own, and has no effect on data set {dataset!r}")
    for name in ("count", "size"):
        if name in given and (name not in base or (own and name == "size")):
            raise ValueError(f"preset {base['preset']!r} has no {name} to replace, got {name}={given[name]!r}")
    for name in ("count", "size", "batch", "hidden"):
        for value in given.get("hidden", []) if name == "hidden" else [given.get(name, "all")]:
            if value != "all" and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
    if "held_out" in given:
        if dataset in TOYS or (dataset == "colored" and base["convention"] == "paper"):
            raise ValueError(f"held_out has no effect on data set {dataset!r} with preset {base['preset']!r}")
        if not 0 < given["held_out"] < 1:
            raise ValueError(f"held_out must be between 0 and 1, got {given['held_out']}")
    if given.get("batch") == "all":
        given["batch"] = None
    return ({"count": None} if own else {}) | given
