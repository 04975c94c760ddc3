"""What a step is timed on: each problem as a Pyro pair, and once more by hand in plain torch.

Both are of the same mathematics, shapes and number of parameters (``tests/test_workloads.py``). The
pairs are made of ppvae's parts as a user would; the networks of the hand-written losses are copies
of theirs. All data are binary rows, 784 wide.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import pyro.infer
import torch
from by_hand import IWAEByHand, M2ByHand, VAEByHand
from m2 import M2, Concatenated, M2Guide
from torch import Tensor, nn

from ppvae import ELBO, IWAE, Estimator
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP, ConvDecoder, ConvEncoder

__all__ = ["DATA_DIM", "MAKERS", "Pair", "Workload", "conv_vae", "m2", "rows", "vae"]

DATA_DIM = 784
IMAGE = (1, 28, 28)
Pair = tuple[nn.Module, nn.Module]


class Workload(NamedTuple):
    """A problem, and who solves it."""

    batch_size: int
    # By what their networks begin with: "" is what the hand-written loss is the same as.
    pairs: Mapping[str, Callable[[], Pair]]
    by_hand: Callable[[Any, Any], nn.Module]  # from the networks of the pair ""
    loss: Callable[[], Estimator]
    loss_of_pyro: Callable[[], pyro.infer.ELBO]
    in_numpyro: bool = False


def rows(number: int, seed: int) -> Tensor:
    """Binary rows to train on, (N, 784), an eighth of the pixels set."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(number, DATA_DIM, generator=generator) < 0.125).float()


def vae(
    batch_size: int = 128,
    num_particles: int = 1,
    latent_dim: int = 20,
    hidden: Sequence[int] = (400,),
) -> Workload:
    """The VAE 784-400-(20, 20), 20-400-784, under the ELBO, or under the bound of K > 1 draws."""

    def pair() -> Pair:
        decoder = MLP(latent_dim, hidden, DATA_DIM)
        encoder = MLP(DATA_DIM, hidden, 2 * latent_dim)
        model = VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood())
        return model, GaussianGuide(encoder)

    def by_hand(model: Any, guide: Any) -> nn.Module:
        networks = _plain(guide.encoder), _plain(model.decoder)
        return VAEByHand(*networks) if num_particles == 1 else IWAEByHand(*networks, num_particles)

    if num_particles == 1:
        usual = latent_dim == 20 and tuple(hidden) == (400,)
        return Workload(
            batch_size, {"": pair}, by_hand, ELBO, pyro.infer.Trace_ELBO, in_numpyro=usual
        )
    return Workload(
        batch_size,
        {"": pair},
        by_hand,
        partial(IWAE, num_particles),
        partial(
            pyro.infer.RenyiELBO, alpha=0, num_particles=num_particles, vectorize_particles=True
        ),
    )


def conv_vae(batch_size: int = 128, latent_dim: int = 20) -> Workload:
    """The VAE with two convolutions each way, on 28x28."""

    def pair() -> Pair:
        decoder = ConvDecoder(latent_dim, IMAGE)
        encoder = ConvEncoder(IMAGE, 2 * latent_dim)
        model = VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood())
        return model, GaussianGuide(encoder)

    def by_hand(model: Any, guide: Any) -> nn.Module:
        encoder = nn.Sequential(nn.Unflatten(-1, IMAGE), *_plain(guide.encoder))
        return VAEByHand(encoder, _plain(model.decoder))

    return Workload(batch_size, {"": pair}, by_hand, ELBO, pyro.infer.Trace_ELBO)


def m2(
    batch_size: int = 128,
    classes: int = 10,
    latent_dim: int = 50,
    hidden: Sequence[int] = (500,),
) -> Workload:
    """M2 on unlabelled rows, its labels summed out; with "layer", W_x x is computed once."""

    def pair(two_inputs: Callable[..., nn.Module]) -> Pair:
        decoder = two_inputs([latent_dim, classes], hidden, DATA_DIM)
        encoder = two_inputs([DATA_DIM, classes], hidden, 2 * latent_dim)
        classifier = MLP(DATA_DIM, hidden, classes)
        return M2(decoder, classes, latent_dim), M2Guide(classifier, encoder)

    def by_hand(model: Any, guide: Any) -> nn.Module:
        networks = (guide.classifier, guide.encoder, model.decoder)
        classifier, encoder, decoder = map(_plain, networks)
        return M2ByHand(classifier, encoder, decoder, classes)

    return Workload(
        batch_size,
        {"": partial(pair, Concatenated), "layer": partial(pair, MLP)},
        by_hand,
        ELBO,
        partial(pyro.infer.TraceEnum_ELBO, max_plate_nesting=1),
    )


def _plain(network: Any) -> nn.Sequential:
    layers: nn.Sequential = deepcopy(network.layers)
    return layers


# By the names in step_names.py; partial objects, so that they can be sent to another process.
MAKERS: Mapping[str, Callable[[], Workload]] = {
    "vae-32": partial(vae, 32),
    "vae-128": partial(vae, 128),
    "vae-1024": partial(vae, 1024),
    "conv-vae-128": partial(conv_vae, 128),
    "m2-128": partial(m2, 128),
    "iwae-5-128": partial(vae, 128, num_particles=5),
    "iwae-50-128": partial(vae, 128, num_particles=50),
}
