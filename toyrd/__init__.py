"""Solve the toy model of "Fixing a Broken ELBO" exactly, with certificates.

Tables of your own: `Model`, `best_encoder`, `best_marginal`, `best_decoder`, `normalize`,
`entropy`, `kl_divergence`, `mutual_information`. The least D + βR, or D at a rate: `solve`, for
any cost `rate_distortion`, for a whole curve `frontier`, step by step `alternate`; all give a
`Solution` with a `Status`, which `check` proves again. Decoder rows of a family:
`GaussianDecoder`, `BernoulliDecoder`, or your own `DecoderFamily`. Data of known latent:
`toy_source`, `bars_and_stripes`, `empirical`; images of your own: `count_images`. Beside these:
the ceiling of what any Z can tell of a class, `bottleneck`; what the optimum leaves open,
`identified` and `corner`; `toyrd.appendix_e`, the paper's own training; `toyrd.testing`,
strategies for property tests; and ``python -m toyrd``, which lists the figures.

Numbers are in nats; the last axis of a table is the variable left of the bar.
"""

from .ambiguity import corner, identified
from .bernoulli import BernoulliDecoder, count_images
from .curve import ConvergenceWarning, Solution, Status, Target
from .family import DecoderFamily
from .free import smooth_encoder
from .frontiers import Frontier, frontier
from .gaussian import GaussianDecoder
from .information import ClassDecoder, bottleneck
from .model import (
    Model,
    best_decoder,
    best_encoder,
    best_marginal,
    entropy,
    kl_divergence,
    mutual_information,
    normalize,
)
from .solver import alternate, solve
from .sources import Source, bars_and_stripes, empirical, toy_source
from .table import check, rate_distortion

__version__ = "0.2.0"

__all__ = [
    "BernoulliDecoder",
    "ClassDecoder",
    "ConvergenceWarning",
    "DecoderFamily",
    "Frontier",
    "GaussianDecoder",
    "Model",
    "Solution",
    "Source",
    "Status",
    "Target",
    "alternate",
    "bars_and_stripes",
    "best_decoder",
    "best_encoder",
    "best_marginal",
    "bottleneck",
    "check",
    "corner",
    "count_images",
    "empirical",
    "entropy",
    "frontier",
    "identified",
    "kl_divergence",
    "mutual_information",
    "normalize",
    "rate_distortion",
    "smooth_encoder",
    "solve",
    "toy_source",
]


def __dir__() -> list[str]:
    """List what a user calls, without the modules behind it."""
    return [*__all__, "__version__"]
