"""The lines that `replay` has recorded, as a plain Python function."""

from autograd.core import VSpace, sparse_add

CHANGING = {sparse_add.fun, VSpace.mut_add.fun, VSpace.add.fun}  # whose result may be added to in place


def parts(result):
    """The outputs of a function as a tuple."""
    return result if isinstance(result, tuple) else (result,)


def without_repeats(lines, inputs):
    """name -> the first name of the same value: of the same call with the same arguments."""
    names, known = {line.name: line.name for line in lines[:inputs]}, {}
    for line in lines[inputs:]:
        line.words = [names.get(word, word) for word in line.words]
        call = (line.fun, *(getattr(word, "key", word) for word in [*line.words, *line.kwargs, *line.kwargs.values()]))
        names[line.name] = line.name if line.fun in CHANGING else known.setdefault(call, line.name)
    return names


def compiled(lines, inputs, result):
    """A Python function of what the outputs need, in which a value is let go after its last use."""
    names = without_repeats(lines, inputs)
    outputs, space = [names[output._node.name] for output in parts(result)], {}
    needed, body = set(outputs), [f"    return {', '.join(outputs)}{',' * isinstance(result, tuple)}"]

    def known_as(value, stem="c"):
        space[name := f"{stem if stem.isidentifier() else 'f'}_{len(space)}"] = value
        return name

    for line in reversed(lines[inputs:]):
        if line.name in needed:
            used = {word for word in line.words if isinstance(word, str)}
            body += [f"    del {last}" for last in sorted(used - needed)]
            words = [word if isinstance(word, str) else known_as(word.value) for word in line.words]
            words += [f"{key}={known_as(constant.value)}" for key, constant in line.kwargs.items()]
            body.append(f"    {line.name} = {known_as(line.fun, line.fun.__name__)}({', '.join(words)})")
            needed |= used
    source = "\n".join([f"def program({', '.join(line.name for line in lines[:inputs])}):", *reversed(body)])
    exec(source, space)
    space["program"].source = source
    return space["program"]
