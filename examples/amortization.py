"""One network for all data, or a posterior for each datum: what does amortization cost?

    ppvae fit amortization
    ppvae fit amortization --per-datum                 # without a network, by the row's number
    python -m ppvae.examples.amortization --out gaps.png

A guide falls short of log p(x) for two reasons: its family lacks p(z|x) (approximation), and one
network serves all data (amortization). The last command trains a VAE on the digits, refines q(z|x)
of the 300 test rows each by itself, and finds in 26 seconds of one core, in nats per datum:

    log p(x) -23.19, L[q*] -23.32, L[q] -23.61: approximation 0.13, amortization 0.30

Beside it stands a linear decoder, where both are known exactly: the best encoder is linear and its
amortization gap zero, while independent coordinates leave KL(q || p(z|x)).

Source: Cremer, Li & Duvenaud (2018), Inference suboptimality in variational autoencoders,
arXiv:1801.03558.
"""

import argparse
import time
from pathlib import Path
from typing import cast

import torch
import xarray
from torch import nn

import ppvae
from ppvae import ELBO, Experiment
from ppvae.data import Data, load
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide, PerDatumGuide
from ppvae.models import VAE, LinearGaussian
from ppvae.networks import MLP
from ppvae.plot import gaps

__all__ = ["amortization"]


def amortization(
    data: Data, latent_dim: int = 20, hidden: int = 200, per_datum: bool = False
) -> Experiment:
    """A VAE whose q(z|x) comes from an encoder, or is a Gaussian of each row's own.

    Args:
        data: binary rows, (N, P).
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
        per_datum: whether each training row has a mean and scale of its own; held-out rows then
            have none before they are refined.
    """
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], 2 * latent_dim, activation=nn.ReLU)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood()),
        guide=PerDatumGuide(data.num_rows, latent_dim) if per_datum else GaussianGuide(encoder),
        estimator=ELBO(),
        # A row's own parameters are met in one step of each epoch alone.
        epochs=(300 if per_datum else 100) if data.num_train < 10_000 else 20,
        lr=1e-2 if per_datum else 2e-3,
        batch_size=64,
    )


def trained(name: str, data: Data, epochs: int | None) -> ppvae.Run:
    """The run of a built-in experiment."""
    return ppvae.fit(build(find_recipe(name), data), data, epochs=epochs, progress=False)


def measured(title: str, run: ppvae.Run, steps: int) -> xarray.Dataset:
    """Refine the guide of a run on its test rows, and say how far each guide is off."""
    start = time.perf_counter()
    refined = ppvae.refine(run, run.data.test, steps=steps)
    seconds = time.perf_counter() - start
    found = ppvae.inference_gaps(refined)
    print(f"{title}, {len(found['row'])} test rows refined in {seconds:.0f} s, nats per datum:")
    print(f"  log p(x)  {_mean(found, 'log_evidence')}, {found.attrs['log_evidence']}")
    print(f"  L[q*]     {_mean(found, 'elbo_refined')}, each datum by itself")
    print(f"  L[q]      {_mean(found, 'elbo_amortized')}, amortized")
    for gap in ("approximation_gap", "amortization_gap", "inference_gap"):
        print(f"  {gap.replace('_', ' '):18}{_mean(found, gap)}")
    return found


@torch.no_grad()
def set_to_best(run: ppvae.Run) -> None:
    """Give a linear encoder the exact means of a linear-Gaussian model and its best scales."""
    model, encoder = (
        cast(LinearGaussian, run.model),
        cast(nn.Linear, cast(GaussianGuide, run.guide).encoder),
    )
    zero = model.mean_field_posterior(torch.zeros(1, encoder.in_features))
    slopes = model.mean_field_posterior(torch.eye(encoder.in_features)).mean - zero.mean
    encoder.weight.copy_(torch.cat([slopes.T, torch.zeros_like(slopes.T)]))
    encoder.bias.copy_(torch.cat([zero.mean[0], zero.stddev[0].log()]))


def _mean(found: xarray.Dataset, name: str) -> str:
    return f"{float(found[f'{name}_mean']):8.3f} +- {float(found[f'{name}_mean_se']):.3f}"


def _show() -> None:
    parser = argparse.ArgumentParser(description="The amortization gap, as a number and a picture.")
    parser.add_argument("--out", type=Path, default=Path("amortization.png"))
    parser.add_argument("--quick", action="store_true", help="short training and refinement")
    chosen = parser.parse_args()
    epochs, steps = (10, 150) if chosen.quick else (None, 500)
    found = measured("amortization", trained("amortization", load("digits"), epochs), steps)
    run = trained("linear-gaussian", load("digits", binarize="none"), epochs)
    measured("linear-gaussian as trained", run, steps)
    set_to_best(run)
    measured("linear-gaussian with the best linear encoder", run, steps)
    exact = float(cast(LinearGaussian, run.model).mean_field_gap().detach())
    print(f"  the exact approximation gap of independent coordinates is {exact:.3f}")
    gaps(found).savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    _show()
