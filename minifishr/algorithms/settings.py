"""Hyper-parameters: the defaults of a convention, explicit values winning, and what values are possible."""

import numpy as np

CONVENTIONS = ("paper", "domainbed")
# What the IRM authors chose for Colored MNIST and the Fishr authors use for every method; and DomainBed's defaults.
PAPER_ADAM = {"lr": 0.0004898536566546834, "weight_decay": 0.00110794568}
PAPER_PENALTY = {**PAPER_ADAM, "penalty_weight": 91257.18613115903, "warm_up": 190}
DOMAINBED_ADAM = {"lr": 1e-3, "weight_decay": 0.0}


def both(**own):
    """The defaults of a method whose conventions only differ in learning rate and weight decay."""
    return {"paper": {**PAPER_ADAM, **own}, "domainbed": {**DOMAINBED_ADAM, **own}}


def uniform(low, high):
    """A range, rng -> value: every number in [low, high) is as likely."""
    return lambda rng: float(rng.uniform(low, high))


def log_uniform(low, high, base=10):
    """A range, rng -> base ** exponent: every exponent in [low, high) is as likely."""
    return lambda rng: float(base ** rng.uniform(low, high))


def whole(values):
    """A range of whole numbers, rng -> value: those of another range, rounded down."""
    return lambda rng: int(values(rng))


def choice(*values):
    """A range, rng -> value: one of these, each as likely."""
    return lambda rng: values[rng.integers(len(values))]


# A RANGES dict is where a random search draws hyper-parameters from, in the domainbed convention; what it does not name
# keeps its default. The ranges are DomainBed's for small images unless said, where the weight decay is always 0.
# Warm-ups, also the domainbed convention's defaults, are in steps of runs of RANGE_STEPS steps.
LR_RANGE = {"lr": log_uniform(-4.5, -2.5)}
PENALTY_RANGE = {**LR_RANGE, "penalty_weight": log_uniform(-1, 5), "warm_up": whole(log_uniform(0, 4))}
BATCH_RANGE = whole(log_uniform(3, 9, base=2))
RANGE_STEPS = 5_000


def shortened(warm_up, steps):
    """A warm-up published for RANGE_STEPS steps as the same share of a shorter run; a longer run keeps it."""
    return int(warm_up * min(1, steps / RANGE_STEPS))


NOT_NEGATIVE = (0, float("inf"))
LIMITS = {
    **dict.fromkeys(("lr", "weight_decay", "penalty_weight", "warm_up", "meta_lr", "k", "ddof", "seed"), NOT_NEGATIVE),
    **dict.fromkeys((f"discriminator_{name}" for name in ("lr", "weight_decay", "steps")), NOT_NEGATIVE),
    **dict.fromkeys(("gradient_penalty", "eta", "gradient_weight", "ib_weight", "ib_warm_up"), NOT_NEGATIVE),
    **{"ema": (0, 1), "tau": (0, 1), "beta1": (0, 0.999), "width": (1, float("inf")), "chunk": (1, float("inf"))},
}
SECOND_WEIGHTS = ("gradient_weight", "ib_weight")
WARM_UPS = ("warm_up", "ib_warm_up")
WHOLE = (*WARM_UPS, "width", "seed", "discriminator_steps", "ddof", "chunk")
CHOICES = {
    **dict.fromkeys(("centered", "means", "rescale"), (True, False)),
    **{"scope": ("classifier", "all"), "covariance": ("diagonal", "full")},
    **{"reduction": ("mean", "sum"), "average": ("arithmetic", "geometric")},
}
# Switches that came after runs had been recorded: where they have their default nothing that identifies a run says
# them, so that older records, checkpoints and models keep their identity.
LATER = {"irm": ("reduction",), "vrex": ("ddof",), "and_mask": ("rescale", "average"), "coral": ("means",)}


def identifying(name, defaults, chosen):
    """The hyper-parameters that tell a method's runs apart: all but the switches of LATER that have their default."""
    plain = {key for key in LATER.get(name, ()) if key in chosen and same(chosen[key], defaults[key])}
    return {key: value for key, value in chosen.items() if key not in plain}


def same(one, other):
    """Whether two values are equal and of one type; False is not 0."""
    return type(one) is type(other) and one == other


def with_shortened_warm_ups(chosen, steps):
    """The same hyper-parameters, all warm-ups among them `shortened`."""
    return chosen | {key: shortened(chosen[key], steps) for key in WARM_UPS if key in chosen}


def settings(name, defaults, convention, given):
    """The hyper-parameters of a convention, explicit ones winning; ValueError for unknown or impossible ones."""
    check_convention(name, convention)
    known = defaults[convention]
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{name}: unknown hyper-parameter {key!r}, expected one of {', '.join(known)}")
        if key in LIMITS and not (value is None is known[key]):
            check_number(name, key, value, *LIMITS[key])
        if key in CHOICES and not any(same(value, choice) for choice in CHOICES[key]):
            raise ValueError(f"{name}: {key}={value!r} is none of {', '.join(map(str, CHOICES[key]))}")
    # a NumPy float64 would turn a float32 theta into float64
    plain = {key: getattr(value, "item", lambda v=value: v)() for key, value in {**known, **given}.items()}
    return {key: int(value) if key in WHOLE and value is not None else value for key, value in plain.items()}


def check_convention(name, convention):
    """ValueError unless the convention is known."""
    if convention not in CONVENTIONS:
        raise ValueError(f"{name}: unknown convention {convention!r}, expected one of {', '.join(CONVENTIONS)}")


def check_number(name, key, value, low, high):
    """ValueError unless value is a number in [low, high]."""
    if isinstance(value, bool | np.bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"{name}: {key}={value!r} is not a number")
    if not low <= value <= high:
        raise ValueError(f"{name}: {key}={value!r} is outside [{low}, {high}]")
    if value == float("inf"):
        raise ValueError(f"{name}: {key}={value!r} is not finite")
    if key in WHOLE and value != value // 1:
        raise ValueError(f"{name}: {key}={value!r} is not a whole number")
