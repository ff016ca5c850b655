"""The information bottleneck: the public case B26, by the certified curve.

X and Y are five equally likely pairs. A slope s of relevance for complexity is β = 1/s, and D is
H(Y|Z), so that I(Z; Y) = H(Y) − D.
"""

import math

import numpy as np
import pytest

import toyrd
from toyrd import entropy

BITS = 1 / math.log(2)
PAIRS = np.zeros((3, 3))
for pair in ((0, 0), (0, 2), (1, 2), (2, 1), (2, 2)):
    PAIRS[pair] = 0.2

pytestmark = pytest.mark.skipif(not hasattr(toyrd, "bottleneck"), reason="comes with issue 12")


@pytest.mark.parametrize(
    ("slope", "complexity", "relevance"),
    [(2.5, 0.8, 0.4), (10.0, 1.5129028123467738, 0.5701613881543501)],
)
def test_b26_complexity_and_relevance_of_five_pairs(slope, complexity, relevance):
    """I(X; Z) and I(Z; Y) in bits, at slopes 2.5 and 10."""
    solution = toyrd.bottleneck(PAIRS, beta=1 / slope)
    told = entropy(PAIRS.sum(axis=0)) - solution.D
    assert (solution.R * BITS, told * BITS) == pytest.approx((complexity, relevance), abs=1e-8)
