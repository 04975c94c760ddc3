"""A code of bits on binary images: which way to learn it without a path through the draws?

    ppvae fit bernoulli-latents
    ppvae compare bernoulli-latents                         # estimators of draws that are scored
    ppvae compare bernoulli-latents --vary how=enumerated,relaxed,hard --estimators elbo
    python -m ppvae.examples.bernoulli_latents              # every way, by the same exact log p(x)

With D = 8 bits log p(x), the ELBO and their gradients are sums over 256 codes, to which what is
estimated from draws can be held. The bits are drawn and scored, or all their codes summed out
(enumerated), or relaxed to numbers with a density, which have a path. The bound of a relaxed pair
is one on log p(x) of the relaxed model. Its decoder may read the bits that are relaxed instead
(hard, with the gradient passed straight through): then it is a bound on the model of bits, below
that of the bits themselves.

The last command trains each way for as many steps, and says what log p(x) is under the bits that
each has learned, summed over all codes (nats per test row, three seeds, 200 s of one core):

    scored            log p(x)  -23.842 (0.016)  ELBO  -24.468    five draws, VIMCO, L_5
    enumerated        log p(x)  -23.902 (0.023)  ELBO  -24.045    the ELBO itself
    relaxed           log p(x)  -24.760 (0.039)  ELBO  -25.883    one draw
    hard              log p(x)  -25.569 (0.124)  ELBO  -26.140    one draw
    scored, one draw  log p(x)  -26.979 (0.024)  ELBO  -27.071    the ELBO, the plain score function

Of one draw, the relaxed path is nearer to the sum than the straight-through one, and both are
nearer than the score; five scored draws with a baseline of their own do better still.

Sources: Maddison, Mnih & Teh (2017), arXiv:1611.00712; Jang, Gu & Poole (2017), arXiv:1611.01144.
"""

import argparse
from typing import cast

import torch
from torch import nn

import ppvae
from ppvae import ELBO, IWAE, Experiment
from ppvae.data import Data, load
from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    BinaryConcretePrior,
    ReadBits,
)
from ppvae.estimators import VIMCO
from ppvae.estimators.gradients import ScoreFunction
from ppvae.exact import ExactSum, binary_codes
from ppvae.experiment import build, find_recipe
from ppvae.guides import BernoulliGuide, BinaryConcreteGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["ESTIMATORS", "bernoulli_latents"]

ESTIMATORS = ("elbo:5+score", "iwae:5+vimco", "rws:5")
WAYS = ("scored", "enumerated", "relaxed", "hard")


def bernoulli_latents(
    data: Data,
    latent_dim: int = 8,
    hidden: int = 100,
    how: str = "scored",
    temperature: float = 0.5,
) -> Experiment:
    """A VAE whose code is a few bits, with every integral a sum over all codes.

    Args:
        data: binary rows, (N, P).
        latent_dim: D, the number of bits, at most 12.
        hidden: width of the one hidden layer of encoder and decoder.
        how: what is done with them: scored, enumerated, relaxed or hard.
        temperature: of relaxed bits, in model and guide alike.
    """
    if how not in WAYS:
        raise ValueError(f"how must be one of {', '.join(WAYS)}; got {how!r}.")
    codes = binary_codes(latent_dim)
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], latent_dim, activation=nn.ReLU)
    if how in ("relaxed", "hard"):
        relaxed, relaxing = _relaxed(decoder, encoder, codes, temperature, how == "hard")
        # Read as bits, the relaxed model is the one of bits.
        known = of_bits(relaxed, relaxing, codes).log_evidence if how == "hard" else None
        return Experiment(model=relaxed, guide=relaxing, epochs=100, lr=1e-3, log_evidence=known)
    model = VAE(decoder, BernoulliPrior(latent_dim), BernoulliLikelihood())
    guide = BernoulliGuide(encoder, enumerated=how == "enumerated")
    exact = ExactSum(model, guide, {"z": codes})
    return Experiment(
        model=model,
        guide=guide,
        estimator=ELBO() if how == "enumerated" else IWAE(5, gradient=VIMCO()),
        epochs=100,
        lr=1e-3,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


def _relaxed(
    decoder: nn.Module, encoder: nn.Module, codes: torch.Tensor, temperature: float, hard: bool
) -> tuple[VAE, BinaryConcreteGuide]:
    prior = BinaryConcretePrior(codes.shape[1], temperature)
    model = VAE(nn.Sequential(ReadBits(hard), decoder), prior, BernoulliLikelihood())
    return model, BinaryConcreteGuide(encoder, temperature)


def of_bits(model: VAE, guide: nn.Module, codes: torch.Tensor) -> ExactSum:
    """The sum over the bits that a relaxed pair stands for, with its parameters."""
    decoder, prior = cast(nn.Sequential, model.decoder)[1], cast(BinaryConcretePrior, model.prior)
    bits = VAE(decoder, prior.bits, model.likelihood)
    encoder = cast(BinaryConcreteGuide, guide).encoder
    return ExactSum(bits, BernoulliGuide(encoder), {"z": codes})


def learned(data: Data, how: str, one_draw: bool, epochs: int | None, seed: int) -> list[float]:
    """Log p(x) and ELBO of the bits that one way has learned, means over test rows in nats."""
    made = build(find_recipe("bernoulli-latents"), data, seed=seed, how=how)
    estimator = ELBO(gradient=ScoreFunction()) if one_draw else None
    ppvae.fit(made, data, estimator=estimator, epochs=epochs, seed=seed, threads=1, progress=False)
    log_evidence, elbo = made.log_evidence, made.elbo
    if how in ("relaxed", "hard"):
        exact = of_bits(cast(VAE, made.model), cast(nn.Module, made.guide), binary_codes(8))
        log_evidence, elbo = exact.log_evidence, exact.elbo
    with torch.no_grad():
        return [float(f(data.test["x"]).mean()) for f in (log_evidence, elbo) if f]


def _show() -> None:
    parser = argparse.ArgumentParser(description="Bits scored, summed out, relaxed.")
    parser.add_argument("--quick", action="store_true", help="10 epochs of each, one seed")
    chosen = parser.parse_args()
    data, seeds = load("digits"), range(1 if chosen.quick else 3)
    print(f"the bits on test rows, nats per datum, mean and spread of {len(seeds)} seeds")
    ways = {how: (how, False) for how in WAYS} | {"scored, one draw": ("scored", True)}
    for name, (how, one_draw) in ways.items():
        epochs = 10 if chosen.quick else None
        found = torch.tensor([learned(data, how, one_draw, epochs, seed) for seed in seeds])
        mean, spread = found.mean(0), found.std(0, correction=0)
        print(
            f"{name:17}log p(x) {mean[0]:8.3f} ({spread[0]:.3f})  ELBO {mean[1]:8.3f}", flush=True
        )


if __name__ == "__main__":
    _show()
