"""Several layers of codes: what do they buy, and does a guide from above use them better?

    ppvae fit hierarchical                              # two layers, the guide from the data up
    ppvae fit hierarchical --kind ladder --layers 3
    ppvae compare vae hierarchical --latent-dim 50 --estimators warm-up:0.5
    python -m ppvae.examples.hierarchical               # both guides, five seeds

Each layer is half as wide as the one below. With `--activation tanh` the defaults are the networks
of Burda et al. for two layers: 784-200-200-100 and 100-100-100-50, mirrored in the model. The KL
comes in over the first half of the training: without that a ladder on digits stays at codes that
say nothing, and with tanh it does so even then.

Sources: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519 (layered); Soenderby et al. (2016),
arXiv:1602.02282 (ladder).
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import nn

from ppvae import BetaELBO, Experiment, Schedule
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import LadderGuide, LayeredGaussianGuide
from ppvae.models import HierarchicalVAE
from ppvae.networks import MLP

__all__ = ["ESTIMATORS", "hierarchical"]

ESTIMATORS = ("warm-up:0.5", "iwae:5")

KINDS = ("layered", "ladder")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"leaky": nn.LeakyReLU, "tanh": nn.Tanh}


def hierarchical(
    data: Data,
    kind: str = "layered",
    layers: int = 2,
    latent_dim: int = 100,
    hidden: int = 200,
    activation: str = "leaky",
) -> Experiment:
    """A VAE with several layers of codes and a Bernoulli likelihood.

    Args:
        data: binary rows, (N, P).
        kind: of the guide, layered (from the data up) or ladder (down again, through the model).
        layers: L, of codes, at least 2.
        latent_dim: D_1, width of the lowest code z1; each above is half as wide.
        hidden: width of both hidden layers of the networks next to x; half of it above.
        activation: leaky (a rectifier that leaks) or tanh.
    """
    for name, value, known in (("kind", kind, KINDS), ("activation", activation, ACTIVATIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    if layers < 2:
        raise ValueError(f"layers must be at least 2; got {layers}.")
    codes = [latent_dim // 2**number for number in range(layers)]
    widths = [hidden // 2**number for number in range(layers)]
    if min(codes + widths) < 1:
        raise ValueError(
            f"latent_dim and hidden must be at least {2 ** (layers - 1)} for {layers} layers; "
            f"got {latent_dim} and {hidden}."
        )
    mlp = partial(MLP, activation=ACTIVATIONS[activation])
    model = HierarchicalVAE(
        mlp(codes[0], [widths[0]] * 2, data.data_dim),
        [mlp(codes[i], [widths[i]] * 2, 2 * codes[i - 1]) for i in range(1, layers)],
        StandardNormal(codes[-1]),
        BernoulliLikelihood(),
    )
    below = [data.data_dim, *codes[:-1]]
    small = data.num_train < 10_000
    return Experiment(
        model=model,
        guide=_layered(mlp, below, widths, codes)
        if kind == "layered"
        else _ladder(model, mlp, data.data_dim, widths, codes),
        estimator=BetaELBO(Schedule(0.0, 1.0, fraction=0.5)),
        epochs=80 if small else 40,
        lr=2e-3 if small else 1e-3,
        batch_size=32 if small else 128,
    )


def _layered(
    mlp: Callable[..., nn.Module], below: list[int], widths: list[int], codes: list[int]
) -> nn.Module:
    sizes = zip(below, widths, codes, strict=True)
    return LayeredGaussianGuide(mlp(first, [width] * 2, 2 * code) for first, width, code in sizes)


def _ladder(
    model: HierarchicalVAE,
    mlp: Callable[..., nn.Module],
    data_dim: int,
    widths: list[int],
    codes: list[int],
) -> nn.Module:
    """Features as wide as the hidden layers, and a perceptron from each to its code."""
    upward = [mlp(first, [width], width) for first, width in pairwise([data_dim, *widths])]
    heads = [mlp(width, [width], 2 * code) for width, code in zip(widths, codes, strict=True)]
    return LadderGuide(upward, heads, model.layers)


if __name__ == "__main__":
    kinds = ["--vary", f"kind={','.join(KINDS)}", "--estimators", ESTIMATORS[0]]
    sys.exit(main(["compare", "hierarchical", *kinds, *sys.argv[1:]]))
