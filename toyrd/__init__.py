"""Solve the toy model of "Fixing a Broken ELBO" exactly, with certificates.

Tables of your own: `Model`, `best_encoder`, `best_marginal`, `best_decoder`, `entropy`,
`kl_divergence`, `mutual_information`. The least D + βR, or D at a rate: `solve`, for any cost
`rate_distortion`, for a whole curve `frontier`; decoder rows of a family: `GaussianDecoder`,
`BernoulliDecoder`, or your own `DecoderFamily`. Data of known latent: `toy_source`,
`bars_and_stripes`, `empirical`; images of your own: `count_images`. Beside these:
`toyrd.appendix_e`, the paper's own training, `toyrd.testing`, strategies for property tests,
and ``python -m toyrd.figure1`` to ``figure4``.

Numbers are in nats; the last axis of a table is the variable left of the bar.
"""

from .bernoulli import BernoulliDecoder
from .convex import RateDistortion, rate_distortion
from .decoders import DecoderFamily, GlobalFamily
from .encoders import best_encoder, smooth_encoder
from .frontier import Frontier, frontier
from .gaussian import GaussianDecoder
from .images import count_images
from .measures import entropy, kl_divergence, mutual_information
from .model import Model, best_decoder, best_marginal
from .solution import ConvergenceWarning, Solution
from .solver import solve
from .sources import Source, bars_and_stripes, empirical, toy_source

__all__ = [
    "BernoulliDecoder",
    "ConvergenceWarning",
    "DecoderFamily",
    "Frontier",
    "GaussianDecoder",
    "GlobalFamily",
    "Model",
    "RateDistortion",
    "Solution",
    "Source",
    "bars_and_stripes",
    "best_decoder",
    "best_encoder",
    "best_marginal",
    "count_images",
    "empirical",
    "entropy",
    "frontier",
    "kl_divergence",
    "mutual_information",
    "rate_distortion",
    "smooth_encoder",
    "solve",
    "toy_source",
]
