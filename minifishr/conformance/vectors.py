"""The vectors: the cases, and what every form and update is on them, in two files that travel with the package.

vectors.npz holds arrays, vectors.json says what they are. They are files, made once, so they are the same bytes on
every machine; what a machine computes anew agrees with them to 1e-12 (trajectories to 1e-9), not to the bit.
"""

import io
import json
import zipfile
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..algorithms import ALGORITHMS, DEFAULTS
from ..data import Domain
from ..mlp import MLP
from ..optimizers import adam
from ..replay import off
from .cases import SHAPES, Case, drawn
from .forms import FORMS, Form, holder, statistic, switches, value_and_gradient

VERSION = 1
STEPS = 6
DRAWN = ("fish", "paper")  # the update that takes the domains in a random order
WALKED = ("one-2a", "one-4a", "many-2b")  # the cases with trajectories: 2 and 4 domains, equal and unequal rows
FILES = ("vectors.npz", "vectors.json")
HERE = files(__package__)

# Hyper-parameters of the trajectories: those that a method has. The first sets what the second leaves out.
SETTINGS = (
    {
        "lr": 0.01, "weight_decay": 0.05, "penalty_weight": 3.0, "warm_up": 3, "ema": 0.75, "meta_lr": 0.25, "seed": 1,
        "tau": 0.6, "k": 0.5, "discriminator_lr": 0.02, "discriminator_weight_decay": 0.1, "discriminator_steps": 2,
        "gradient_penalty": 0.5, "beta1": 0.4, "width": 6, "eta": 0.5, "gradient_weight": 0.7, "ib_weight": 2.0,
        "ib_warm_up": 2,
    },
    {
        "lr": 0.02, "weight_decay": 0.0, "penalty_weight": 0.5, "warm_up": 0, "ema": 0.0, "meta_lr": 0.5, "seed": 2,
        "tau": 0.3, "width": 6, "gradient_weight": 0.1, "ib_weight": 0.5, "ib_warm_up": 0,
    },
)  # fmt: skip


def trajectories():
    """(method, convention, settings) of every recorded trajectory: two settings, and each switch of a method alone."""
    return [
        (method, convention, {key: value for key, value in chosen.items() if key in DEFAULTS[method][convention]})
        for method in ALGORITHMS
        for convention in DEFAULTS[method]
        for chosen in (*SETTINGS, *(SETTINGS[0] | turned for turned in switches(method, convention)))
    ]


def trajectory(case, method, convention, settings, steps=STEPS):
    """theta after each of some full-batch updates, (steps,d).

    DANN's discriminator starts as the case has it; Fish walks through the domains in their order, in both conventions.
    """
    algorithm = ALGORITHMS[method](case.model, convention=convention, **settings)
    theta, state, path = case.theta, algorithm.init(case.theta), []
    if method == "dann":
        state = state._replace(discriminator=case.w, discriminator_optimizer=adam(1).init(case.w))
    for step in range(steps):
        domains = presented(case.domains, settings["seed"], step) if (method, convention) == DRAWN else case.domains
        with off():  # six steps do not pay for a recording
            theta, state, _ = algorithm.update(theta, state, domains)
        path.append(theta)
    return np.stack(path)


def presented(domains, seed, step):
    """The domains so that a walk in the random order of a step takes them in the given order."""
    order = np.random.default_rng([seed, step]).permutation(len(domains))
    return [domains[e] for e in np.argsort(order)]


def recorded():
    """The arrays by name, and the index that says what they are."""
    cases, paths = [drawn(name, number) for number, name in enumerate(SHAPES)], trajectories()
    arrays = {}
    for case in cases:
        arrays |= inputs(case) | expected(case)
        if case.name in WALKED:
            arrays[f"{case.name}/trajectory"] = np.stack([trajectory(case, *path) for path in paths])
    return arrays, {
        "version": VERSION,
        "cases": [
            {"name": c.name, "widths": c.model.sizes, "rows": c.rows, "discriminator": c.critic.sizes} for c in cases
        ],
        "penalties": [{**form._asdict(), "statistic": holder(form)} for form in FORMS],
        "trajectories": [dict(zip(("method", "convention", "settings"), path, strict=True)) for path in paths],
    }


def inputs(case):
    """What goes in: theta (d,), x and y of all domains one below the other, the discriminator's parameters."""
    x, y = (np.concatenate([domain[i] for domain in case.domains]) for i in (1, 2))
    return {f"{case.name}/{name}": part for name, part in (("theta", case.theta), ("x", x), ("y", y), ("w", case.w))}


def expected(case):
    """What comes out: penalties (forms,), their gradients (forms,d), and each statistic, by method and variant."""
    values, gradients = zip(*(value_and_gradient(form, case) for form in FORMS), strict=True)
    found = {f"{case.name}/penalty": np.array(values), f"{case.name}/gradient": np.stack(gradients)}
    for number, form in enumerate(FORMS):
        if holder(form) == number:
            found[f"{case.name}/statistic/{number}"] = statistic(form, case)
    return found


def written(arrays, index):
    """The bytes of both files: an npz whose entries have no time, nothing compressed, and the index as JSON."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, entry.getvalue())
    return buffer.getvalue(), (json.dumps(index, indent=None, separators=(", ", ": ")) + "\n").encode()


def export(folder):
    """Copy the two files to a folder, which is made: their paths. FileExistsError for another file of that name."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {folder / name: HERE.joinpath(name).read_bytes() for name in FILES}
    for path, data in found.items():
        if path.exists() and path.read_bytes() != data:
            raise FileExistsError(f"{path} is there already and is another file; choose another folder")
    for path, data in found.items():
        path.write_bytes(data)
    return list(found)


@cache
def index():
    """The index of the vectors, vectors.json."""
    return json.loads(HERE.joinpath(FILES[1]).read_text(encoding="utf-8"))


@cache
def arrays():
    """The arrays of the vectors, by name; not to be written to."""
    with np.load(io.BytesIO(HERE.joinpath(FILES[0]).read_bytes()), allow_pickle=False) as found:
        read = dict(found)
    for array in read.values():
        array.flags.writeable = False
    return read


@cache
def cases():
    """The recorded cases."""
    return [case_of(entry) for entry in index()["cases"]]


def case_of(entry):
    """A Case from its entry in the index."""
    theta, x, y, w = (arrays()[f"{entry['name']}/{part}"] for part in ("theta", "x", "y", "w"))
    cuts = np.cumsum(entry["rows"])[:-1]
    domains = [
        Domain(f"domain {e}", *part) for e, part in enumerate(zip(np.split(x, cuts), np.split(y, cuts), strict=True))
    ]
    return Case(entry["name"], MLP(tuple(entry["widths"])), theta, domains, w)


@cache
def forms():
    """The recorded forms, in the order of the rows of penalty and gradient."""
    return [Form(*(entry[key] for key in Form._fields)) for entry in index()["penalties"]]
