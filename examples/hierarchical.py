"""Several layers of codes: what do they buy, and does a guide from above use them better?

    ppvae fit hierarchical                              # two layers, the guide from the data up
    ppvae fit hierarchical --kind ladder --layers 3
    ppvae compare vae hierarchical --latent-dim 50 --estimators elbo iwae:5
    python -m ppvae.examples.hierarchical               # both guides, one to three layers

Each layer is half as wide as the one below. The defaults are the networks of Burda et al. for two
layers: 784-200-200-100 and 100-100-100-50, tanh, mirrored in the model.

Sources: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519 (layered); Soenderby et al. (2016),
arXiv:1602.02282 (ladder).
"""

import sys

from torch import nn

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import LadderGuide, LayeredGaussianGuide
from ppvae.models import HierarchicalVAE
from ppvae.networks import MLP

__all__ = ["hierarchical"]

KINDS = ("layered", "ladder")


def hierarchical(
    data: Data, kind: str = "layered", layers: int = 2, latent_dim: int = 100, hidden: int = 200
) -> Experiment:
    """A VAE with several layers of codes and a Bernoulli likelihood.

    Args:
        data: binary rows, (N, P).
        kind: of the guide, layered (from the data up) or ladder (down again, through the model).
        layers: L, of codes, at least 2.
        latent_dim: D_1, width of the lowest code z1; each above is half as wide.
        hidden: width of both hidden layers of the networks next to x; half of it above.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    if layers < 2:
        raise ValueError(f"layers must be at least 2; got {layers}.")
    codes = [latent_dim // 2**number for number in range(layers)]
    widths = [hidden // 2**number for number in range(layers)]
    if min(codes + widths) < 1:
        raise ValueError(
            f"latent_dim and hidden must be at least {2 ** (layers - 1)} for {layers} layers; "
            f"got {latent_dim} and {hidden}."
        )
    below = [data.data_dim, *codes]
    model = HierarchicalVAE(
        MLP(codes[0], [widths[0]] * 2, data.data_dim),
        [MLP(codes[i], [widths[i]] * 2, 2 * codes[i - 1]) for i in range(1, layers)],
        StandardNormal(codes[-1]),
        BernoulliLikelihood(),
    )
    small = data.num_train < 10_000
    return Experiment(
        model=model,
        guide=_guide(kind, model, below, widths),
        epochs=60 if small else 30,
        lr=1e-3,
        batch_size=20 if small else 100,
    )


def _guide(kind: str, model: HierarchicalVAE, below: list[int], widths: list[int]) -> nn.Module:
    codes = below[1:]
    if kind == "layered":
        return LayeredGaussianGuide(
            MLP(width, [hidden] * 2, 2 * code)
            for width, hidden, code in zip(below, widths, codes, strict=False)
        )
    return LadderGuide(
        [
            nn.Sequential(MLP(width, [hidden], hidden), nn.Tanh())
            for width, hidden in zip([below[0], *widths], widths, strict=False)
        ],
        [MLP(hidden, [], 2 * code) for hidden, code in zip(widths, codes, strict=True)],
        model.layers,
    )


if __name__ == "__main__":
    sys.exit(
        main(
            ["compare", "hierarchical", "--vary", f"kind={','.join(KINDS)}"]
            + ["--estimators", "elbo", "iwae:5", *sys.argv[1:]]
        )
    )
