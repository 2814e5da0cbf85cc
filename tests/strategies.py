"""What hypothesis draws: small networks, parameters and domains of unequal sizes, so that a swapped axis must fail."""

import numpy as np
from hypothesis import strategies as st

from minifishr.checks.identity import SIZES
from minifishr.data import Domain
from minifishr.mlp import MLP


@st.composite
def models(draw, sizes=SIZES):
    """A model and parameters (d,) with biases that are not zero."""
    model = MLP(draw(st.sampled_from(sizes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return model, model.init(rng) + 0.3 * rng.normal(size=model.d)


@st.composite
def problems(draw, sizes=SIZES, m=(2, 3), n=(2, 6)):
    """A model, parameters (d,), and m domains with n samples each, all sizes drawn."""
    model, theta = draw(models(sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = max(model.sizes[-1], 2)

    def domain(e):
        rows = draw(st.integers(*n))
        return Domain(f"domain {e}", rng.normal(size=(rows, model.sizes[0])), rng.integers(0, classes, rows))

    return model, theta, [domain(e) for e in range(draw(st.integers(*m)))]
