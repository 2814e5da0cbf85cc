"""What the exercise on tapes draws, and what it takes of an answer."""

import numpy as np

from .calls import Unusable
from .draws import numbers, one_of, whole

TOTAL = (np.sum, {"keepdims": True})  # whose value has another shape than the inputs


def tape_and_inputs(draw):
    """A tape of one to three entries after one or two inputs; where a slot is, args have a value of the recording."""
    count = draw(whole(1, 2))
    tape = [None] * count
    for slot in range(count, count + draw(whole(1, 3))):
        fun, kwargs = draw(one_of((np.subtract, {}), (np.multiply, {}), (np.roll, {"shift": 1}), TOTAL))
        places = [draw(one_of(True, False)) for _ in range(1 if kwargs else 2)]
        places[-1] = places[-1] or not any(places)  # one argument at least comes from a slot
        slots = {i: int(draw(whole(0, slot - 1))) for i, boxed in enumerate(places) if boxed}
        tape.append((fun, [draw(numbers(2)) for _ in places], kwargs, slots))
    return {"tape": tape, "inputs": [draw(numbers(2)) for _ in range(count)]}


def listed(answer):
    """The values of all slots, one slot after the other, of an answer that gives a list."""

    def numbers(tape, inputs):
        values = answer(tape, inputs)
        if values is None or values is ...:
            return None
        if not isinstance(values, list | tuple):
            kind = type(values).__name__
            raise Unusable(f"Expected a list of the slots' values, which may have several shapes, came a {kind}.")
        alike = len({np.shape(value) for value in values}) < 2
        return np.array(values) if alike else np.concatenate([np.ravel(value) for value in values])

    return numbers
