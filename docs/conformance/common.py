"""What the adapters share: pieces of somebody's files, compiled as they stand. Nothing of theirs is copied."""

import ast
import copy
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import autograd, nn, optim

from minifishr.algorithms import DEFAULTS
from minifishr.conformance.vectors import SETTINGS

torch.set_default_dtype(torch.float64)  # the cases are in float64, and some files make tensors of the default dtype
torch.Tensor.cuda = lambda self, *given, **options: self  # some files ask for a GPU whatever there is
NAMES = {"torch": torch, "nn": nn, "F": F, "autograd": autograd, "optim": optim, "copy": copy}


def source(path, *fixes):
    """The text of a file, each fix (old, new) made in it; ValueError where there is nothing to fix."""
    text = path.read_text(encoding="utf-8")
    for old, new in fixes:
        if old not in text:
            raise ValueError(f"{path}: there is no {old!r} in it")
        text = text.replace(old, new)
    return ast.parse(text)


def defined(path, *names, fixes=(), inside=None, **known):
    """Functions and classes of a file by name, as a namespace that they see as global.

    They may stand anywhere in the file, or inside one class.
    """
    found, space, tree = {}, {**NAMES, **known}, source(path, *fixes)
    if inside:
        tree = next(node for node in tree.body if getattr(node, "name", "") == inside)
    for node in ast.walk(tree):
        if getattr(node, "name", None) in names and node.name not in found:
            node.decorator_list = [d for d in node.decorator_list if getattr(d, "id", "") == "staticmethod"]
            if isinstance(node, ast.FunctionDef):  # types name what is not here
                node.returns = None
                for argument in [*node.args.args, *node.args.kwonlyargs]:
                    argument.annotation = None
            found[node.name] = node
    run([found[name] for name in names], path, space)
    return SimpleNamespace(**space, space=space)


def run(nodes, path, space):
    """Execute some statements of a file in a namespace."""
    exec(compile(ast.Module(list(nodes), []), str(path), "exec"), space)


def loop(path, variable):
    """The statements inside the first `for variable in ...:` of a file, and all its function definitions by name."""
    nodes = [node for node in ast.walk(source(path)) if isinstance(node, ast.For)]
    return next(node.body for node in nodes if getattr(node.target, "id", "") == variable)


def joined(featurizer, classifier):
    """The whole network."""
    return nn.Sequential(*featurizer, classifier)


def with_gradient(value):
    """A penalty as a tensor of no dimension."""
    return value.reshape(()) if isinstance(value, torch.Tensor) else torch.tensor(float(value))


def mean(values):
    """The mean of tensors."""
    return torch.stack([with_gradient(value) for value in values]).mean()


def recorded(method, **changes):
    """The settings of the recorded trajectories that a method has, with some changed."""
    known = {**DEFAULTS[method]["paper"], **DEFAULTS[method]["domainbed"]}
    return {key: changes.get(key, value) for key, value in SETTINGS[0].items() if key in known}


def pairs(values):
    """Every pair of two different ones, in order."""
    return [(a, b) for number, a in enumerate(values) for b in values[number + 1 :]]
