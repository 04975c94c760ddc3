"""Where objectives around the ELBO lead a linear pair, against the closed forms of PCA.

Rows have a covariance with known eigenvalues e, and x|z is N(Wz, I). Under beta KL the best W and
guide are those of PCA with noise beta: code i has the mean KL log(e_i / beta) / 2, and the codes
with e_i <= beta collapse: Lucas et al. (2019), arXiv:1911.02469, for beta = 1.
"""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows, standard_normal
from torch import nn

from ppvae import (
    ELBO,
    SVI,
    BetaELBO,
    CapacityELBO,
    ConstrainedELBO,
    FreeBitsELBO,
    Schedule,
    log_terms,
)

EIGENVALUES = torch.tensor([8.0, 5.0, 3.0, 1.5, 0.8, 0.5])
# Noise of draws and of an optimizer that still moves, in nats.
CLOSE = 0.05


def data(num_rows=400):
    """Rows whose covariance has exactly these eigenvalues, (N, 6)."""
    scores, directions = torch.linalg.qr(torch.randn(num_rows, 6)).Q, torch.linalg.qr(torch.randn(6, 6)).Q
    return num_rows**0.5 * scores * EIGENVALUES.sqrt() @ directions


def pair_of(decoder, encoder, log_scale):
    def model(x):
        pyro.module("decoder", decoder)
        with rows(x):
            z = pyro.sample("z", standard_normal(5))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        scale = pyro.param("log_scale", log_scale).exp()
        with rows(x):
            pyro.sample("z", dist.Normal(encoder(x), scale).to_event(1))

    return model, guide


def trained(estimator, steps=600):
    """Mean KL by code after training under an estimator, (5,) nats."""
    x, (decoder, encoder) = data(), (nn.Linear(i, o, bias=False) for i, o in ((5, 6), (6, 5)))
    log_scale = nn.Parameter(torch.zeros(5))
    model, guide = pair_of(decoder, encoder, log_scale)
    estimator.begin(steps)
    svi = SVI(model, guide, torch.optim.Adam, estimator)
    optimizer = torch.optim.Adam
    svi = SVI(model, guide, lambda ps: optimizer(ps, lr=0.02), estimator)
    for _ in range(steps):
        svi.update(x)
    with torch.no_grad():
        loc, scale = encoder(x), log_scale.exp()
        return 0.5 * (loc**2 + scale**2 - 1 - 2 * scale.log()).mean(0)


def kl_of(beta):
    """The mean KL by code of the best pair, (6,) nats."""
    return 0.5 * (EIGENVALUES / beta).log().clamp(min=0)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64); torch.set_num_threads(1)
    import time
    for name, e in {"b1": BetaELBO(1., 1, True), "b2": BetaELBO(2.,1,True), "b4":BetaELBO(4.,1,True), "wu": BetaELBO(Schedule(0,2.,fraction=.5),1,True),
        "con": ConstrainedELBO(kl=float(kl_of(2.0).sum()), analytic_kl=True), "cap": CapacityELBO(50., Schedule(0.,2.,fraction=.5),1,True), "free": FreeBitsELBO(3.5,1,True),"con4": ConstrainedELBO(kl=float(kl_of(4.0).sum()), analytic_kl=True)}.items():
        for steps in (500, 1000, 2000):
            torch.manual_seed(0); e.load_state_dict({k: torch.zeros_like(v) if k.endswith("step") or k=="log_multiplier" else v for k,v in e.state_dict().items()})
            t=time.time(); kl = trained(e, steps); print(name, steps, [round(float(v),3) for v in kl.sort(descending=True).values], "sum %.3f"%float(kl.sum()), {k: round(float(v),3) for k,v in e.figures().items()}, "%.1fs"%(time.time()-t))
    for b in (1,2,4): print(b, kl_of(b), kl_of(b).sum())
