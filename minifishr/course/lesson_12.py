"""Exercises of lesson 12: what a compiler does."""

import numpy as np

from .draws import one_of, whole
from .exercise import Exercise
from .recall import Question
from .tapes import listed, tape_and_inputs

RECALL = (
    Question(1, "lesson 2, Why one reverse pass is enough"),
    Question(20, "lesson 6, The memory"),
    Question("a", "lesson 6, The end of the warm-up"),
)


def replay(tape, inputs):
    """The value of every slot, a list."""
    values = list(inputs)
    for fun, args, kwargs, slots in tape[len(inputs) :]:
        args = [values[slots[i]] if i in slots else a for i, a in enumerate(args)]
        values.append(fun(*args, **kwargs))
    return values


def replayed(tape, inputs, arguments, given=True):
    """`replay` with other arguments(values, args, slots), for wrong answers."""
    values = list(inputs)
    for fun, args, kwargs, slots in tape[len(inputs) :]:
        values.append(fun(*arguments(values, args, slots), **(kwargs if given else {})))
    return values


def in_a_row(values, args, slots):
    """First what comes from slots, then the rest."""
    return [*(values[slot] for slot in slots.values()), *(a for i, a in enumerate(args) if i not in slots)]


def filled(values, args, slots):
    """Right."""
    return [values[slots[i]] if i in slots else a for i, a in enumerate(args)]


def graph(draw):
    """What the slots of a tape are computed from: one or two inputs, and up to four entries; and an output."""
    uses = [()] * draw(whole(1, 2))
    for slot in range(len(uses), len(uses) + draw(whole(1, 4))):
        uses.append(tuple(int(draw(whole(0, slot - 1))) for _ in range(draw(whole(1, 2)))))
    return {"uses": uses, "output": int(draw(whole(0, len(uses) - 1)))}


def needed(uses, output):
    """Whether the output needs each slot, (slots,)."""
    found = np.zeros(len(uses), bool)
    found[output] = True
    for slot in reversed(range(len(uses))):
        if found[slot]:
            found[list(uses[slot])] = True
    return found


def computed_from(uses, output):
    """Whether each slot is computed from the output, for a wrong answer."""
    found = np.arange(len(uses)) == output
    for slot, used in enumerate(uses):
        found[slot] |= any(found[one] for one in used)
    return found


def last_uses(uses, output):
    """The last slot that is computed from each, (slots,)."""
    last = np.arange(len(uses))
    for slot, used in enumerate(uses):
        last[list(used)] = slot
    last[output] = len(uses)
    return last


def users(uses, output, chosen, none=None):
    """A choice among the slots computed from each, for wrong answers; `none` where there are none, else itself."""
    found = [[slot for slot, used in enumerate(uses) if one in used] for one in range(len(uses))]
    chosen = [chosen(some) if some else (one if none is None else none) for one, some in enumerate(found)]
    return [len(uses) if one == output else value for one, value in enumerate(chosen)]


def labels(draw):
    """Some labels, in a signed or an unsigned dtype, and the number of logits."""
    k = int(draw(one_of(1, 2, 3)))
    return {"y": draw(whole(0, max(k, 2) - 1, draw(whole(1, 3)))).astype(draw(one_of(np.int64, np.uint8))), "k": k}


def label_targets(y, k):
    """Labels as numbers: signs (n,1) for one logit, rows of the identity (n,k) for more."""
    if k == 1:
        return 1 - 2 * y.astype(float)[:, None]
    return (y[:, None] == np.arange(k)).astype(float)


def for_one_logit(form):
    """`label_targets` with another form for one logit, for wrong answers."""
    return lambda y, k: form(y) if k == 1 else label_targets(y, k)


EXERCISES = {
    "replay": Exercise(
        tape_and_inputs,
        replay,
        "the value of every slot, a list: first the inputs, then what each entry (fun, args, kwargs, slots) gives; "
        "slots = {number of the argument: slot that it comes from}, and the other arguments are as in args",
        (
            "Keep a list of values that begins with the inputs; slot number s is values[s].",
            "For each entry after the inputs: argument i is values[slots[i]] if i in slots, else args[i]. Call "
            "fun(*arguments, **kwargs) and append what comes.",
        ),
        {
            "the arguments of the recording, where those of the slots belong": lambda tape, inputs: replayed(
                tape, inputs, lambda values, args, slots: args
            ),
            "the order of the arguments is lost: slots came first": lambda tape, inputs: replayed(
                tape, inputs, in_a_row
            ),
            "the keywords are left out": lambda tape, inputs: replayed(tape, inputs, filled, given=False),
            "the inputs are missing from the list": lambda tape, inputs: replay(tape, inputs)[len(inputs) :],
        },
        adapt=listed,
    ),
    "needed": Exercise(
        graph,
        needed,
        "for each slot whether the output is computed from it, directly or through others; the output needs itself; "
        "uses[slot] are the slots that it is computed from directly -> (slots,) of booleans",
        (
            "Begin with the output alone, and go through the slots backwards: a slot only uses earlier ones.",
            "found = np.zeros(len(uses), bool), found[output] = True; for slot in reversed(range(len(uses))): if "
            "found[slot], all of uses[slot] are found too.",
        ),
        {
            "direct arguments only: what they need is needed as well": lambda uses, output: [
                slot == output or slot in uses[output] for slot in range(len(uses))
            ],
            "everything up to the output": lambda uses, output: np.arange(len(uses)) <= output,
            "the other direction: what is computed from the output": computed_from,
            "the output itself is missing": lambda uses, output: (
                needed(uses, output) & (np.arange(len(uses)) != output)
            ),
            "what the last entry needs, not the output": lambda uses, output: needed(uses, len(uses) - 1),
        },
    ),
    "last_uses": Exercise(
        graph,
        last_uses,
        "for each slot the last slot that is computed directly from it; the slot itself if none is; and len(uses) for "
        "the output, which is used after the end -> (slots,)",
        (
            "Going forwards, each entry is the last use of its arguments, until a later one says so too.",
            "last = arange(len(uses)); for slot, used in enumerate(uses): last[list(used)] = slot; at the end "
            "last[output] = len(uses).",
        ),
        {
            "the first use": lambda uses, output: users(uses, output, min),
            "the output may not go: it is used after the end": lambda uses, output: users(uses, None, max),
            "0 for what nobody uses: it may go at once, after itself": lambda uses, output: users(
                uses, output, max, none=0
            ),
            "how often it is used, not when": lambda uses, output: users(uses, output, len),
        },
    ),
    "label_targets": Exercise(
        labels,
        label_targets,
        "labels (n,) as numbers: the signs 1 - 2y as a column (n,1) for k = 1 logit, and for more the rows of the "
        "identity (n,k) that belong to the labels; y may be of an unsigned dtype",
        (
            "In an unsigned dtype 1 - 2 is no negative number: turn y into floats first.",
            "k = 1: 1 - 2 * y.astype(float)[:, None]. Else (y[:, None] == np.arange(k)).astype(float).",
        ),
        {
            "2y - 1: the sign": for_one_logit(lambda y: 2 * y.astype(float)[:, None] - 1),
            "1 - 2y in an unsigned dtype wraps around": for_one_logit(lambda y: 1 - 2 * y[:, None]),
            "shape (n,): the signs need a column": for_one_logit(lambda y: 1 - 2 * y.astype(float)),
            "0 and 1 for one logit, which needs signs": for_one_logit(lambda y: y[:, None]),
            "a row of two for one logit, which needs one sign": for_one_logit(lambda y: np.eye(2)[y]),
        },
    ),
}
