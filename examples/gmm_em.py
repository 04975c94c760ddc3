"""Old Faithful by a mixture of two Gaussians: EM, coordinate ascent, and VI by gradient.

    ppvae fit gmm-em                        # the label summed out of the model
    ppvae fit gmm-em --inference amortized  # q(y|x) by a network; or per-datum, or drawn
    python examples/gmm_em.py               # one table, three pictures in runs/gmm-em

The script fits all 272 rows from one start, and scores them again, as the published figures do. In
a minute or so on two cores that were busy with something else too:

    272 rows, nats per datum                      ELBO   log p(x)  seconds
    EM                                         -4.1554    -4.1554      0.7
    coordinate ascent (parameters have priors) -4.3330    -4.1699      0.1
    enumerated SVI                             -4.1554    -4.1554     13.0
    black-box VI, y drawn and scored           -4.1554    -4.1554     23.7
    q(y_n) for each datum                      -4.1555    -4.1554      8.2
    q(y|x) amortized                           -4.1554    -4.1554     12.8
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ppvae import ELBO, SVI, Experiment, ScoreFunction, coordinate_ascent, em, plot
from ppvae.coordinate_ascent import DirichletWeights, MeanFieldGaussian, MeanFieldMixture
from ppvae.data import Data, Fields, Source, all_rows, load
from ppvae.distributions import DiagonalCovariance, FullCovariance, NormalWishart, TiedCovariance
from ppvae.em import along, joint_table
from ppvae.estimators.gradients import LeaveOneOut
from ppvae.examples.mixture import Standardized
from ppvae.experiment import build, find_recipe
from ppvae.guides import CategoricalGuide, EmptyGuide, PerDatumCategoricalGuide
from ppvae.models import GaussianMixture
from ppvae.networks import MLP

__all__ = ["DATA", "ESTIMATORS", "gmm_em"]

DATA = Source("faithful")
ESTIMATORS = ("elbo", "iwae:5")
KINDS: dict[str, Any] = {"full": FullCovariance, "tied": TiedCovariance}
KINDS["diagonal"] = DiagonalCovariance
Fitted = tuple[float, GaussianMixture]  # the ELBO per datum, and the model


def gmm_em(
    data: Data, components: int = 2, covariance: str = "full", inference: str = "summed"
) -> Experiment:
    """A mixture of Gaussians, whose label is summed out, inferred for each row, or amortized.

    Args:
        data: real rows, (N, P).
        components: C, how many; they start at rows drawn at random.
        covariance: of the components: full, tied or diagonal.
        inference: what q(y|x) is: summed (no guide at all), per-datum, amortized or drawn.
    """
    if covariance not in KINDS:
        raise ValueError(f"covariance must be {', '.join(KINDS)}; got {covariance!r}.")
    x = data.train["x"].to("cpu", torch.get_default_dtype())
    spread = KINDS[covariance](components, data.data_dim)
    spread.assign_all(torch.cov(x.T).reshape(data.data_dim, -1))
    model = GaussianMixture(x[torch.randperm(len(x))[:components]], spread)
    encoder = nn.Sequential(Standardized(data), MLP(data.data_dim, [16], components))
    guides: dict[str, Callable[[], nn.Module]] = {
        "summed": EmptyGuide,
        "per-datum": partial(PerDatumCategoricalGuide, data.num_rows, components),
        "amortized": partial(CategoricalGuide, encoder),
        "drawn": partial(CategoricalGuide, encoder, enumerated=False),
    }
    if inference not in guides:
        raise ValueError(f"inference must be {', '.join(guides)}; got {inference!r}.")
    scored = ELBO(10, gradient=ScoreFunction(LeaveOneOut()))
    estimator = scored if inference == "drawn" else ELBO()
    guide, batch_size = guides[inference](), data.num_train
    return Experiment(model, guide, estimator, epochs=3000, lr=0.03, batch_size=batch_size)


def by_gradient(inference: str, data: Data, rows: Fields, steps: int) -> Fitted:
    """The ELBO per datum and the model after some steps on all rows."""
    chosen: Any = build(find_recipe("gmm-em"), data, inference=inference)
    optimizer = partial(torch.optim.Adam, lr=chosen.lr)
    svi = SVI(chosen.model, chosen.guide, optimizer, chosen.estimator)
    for _ in range(steps):
        svi.update(**rows)
    # A drawn label's ELBO is a sum over its values too.
    chosen.guide.enumerated = True
    return -ELBO().loss(chosen.model, chosen.guide, **rows) / len(rows["x"]), chosen.model


def by_em(data: Data, rows: Fields) -> Fitted:
    """The ELBO per datum at the last E-step, which is log p(x), and the model."""
    model: Any = build(find_recipe("gmm-em"), data).model
    return float(em(model, rows["x"]).elbo[-1]) / len(rows["x"]), model


def by_coordinate_ascent(data: Data, rows: Fields) -> Fitted:
    """The ELBO with parameters integrated out, and the mixture at their posterior means."""
    x, start = rows["x"], joint_table(build(find_recipe("gmm-em"), data).model, rows["x"])
    prior = NormalWishart(x.mean(0), torch.tensor(1.0), torch.cov(x.T), torch.tensor(2.0))
    q = MeanFieldMixture(x, prior, DirichletWeights(1.0), start.posterior.detach())
    ascent = coordinate_ascent(q.factors, q.elbo)
    spread = FullCovariance(2, 2)
    spread.assign(q.covariances)
    mean = GaussianMixture(q.components.loc, spread, q.weights.mean)
    return float(ascent.objective[-1]) / len(x), mean


def touching_bounds(x: Tensor) -> Figure:
    """EM in one mean, of a narrow component on a broad one that stays: L has two optima."""
    grid, courses = torch.linspace(40.0, 100.0, 241), {}
    for start in (62.0, 70.0):
        model = GaussianMixture(torch.tensor([[start], [70.9]]), DiagonalCovariance(2, 1))
        model.covariance.assign(torch.tensor([[36.0], [184.8]]))

        def m_step(x: Tensor, posterior: Tensor, model: GaussianMixture = model) -> None:
            model.means[0] = posterior[:, 0] @ x / posterior[:, 0].sum()

        result = em(model, x, m_step=m_step)
        title = f"start {start:g}, end {model.means[0, 0].item():.1f}"
        courses[title] = along(result, x, "model.means", (0, 0), grid, steps=6)
    return plot.touching(courses, parameter="mean waiting time, minutes")


def ellipses_by_step(data: Data, x: Tensor) -> Figure:
    """The two components before and after some steps of EM."""
    model: Any = build(find_recipe("gmm-em"), data).model
    result, drawn = em(model, x), []
    for step in (0, 1, 5, result.steps):
        result.load(step)
        factor, weights = model.covariance(), model.theta.softmax(0)
        parts = (weights, model.means, factor @ factor.mT)
        drawn.append(plot.Ellipses(f"step {step}", *(p.detach().numpy().copy() for p in parts)))
    return plot.ellipses(x.numpy(), drawn, labels=("eruption, minutes", "waiting, minutes"))


def stairs() -> Figure:
    """Mean field on a Gaussian with correlation 0.9: its variance is 0.19 instead of 1."""
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    q = MeanFieldGaussian(torch.zeros(2), covariance, torch.tensor([-1.8, 1.5]))
    path = torch.stack(coordinate_ascent(q.factors, q.elbo, watch=q.mean.clone).watched)
    return plot.staircase(*(p.numpy() for p in (q.loc, covariance, path, q.variance)))


def script(arguments: Sequence[str] | None = None) -> None:
    """Print the table and write the pictures."""
    parser = argparse.ArgumentParser(description="EM, coordinate ascent and VI side by side.")
    parser.add_argument("--quick", action="store_true", help="300 gradient steps for 3000")
    parser.add_argument("--out", type=Path, default="runs/gmm-em", help="of the pictures")
    chosen = parser.parse_args(arguments)
    torch.set_default_dtype(torch.float64)
    data = load(DATA)
    rows = all_rows(data.to("cpu", torch.float64))
    ways: dict[str, Callable[..., Fitted]] = {"EM": partial(by_em, data, rows)}
    ways["coordinate ascent (parameters have priors)"] = partial(by_coordinate_ascent, data, rows)
    named = {"summed": "enumerated SVI", "drawn": "black-box VI, y drawn and scored"}
    named |= {"per-datum": "q(y_n) for each datum", "amortized": "q(y|x) amortized"}
    for inference, name in named.items():
        ways[name] = partial(by_gradient, inference, data, rows, 300 if chosen.quick else 3000)
    print(f"{len(rows['x'])} rows, nats per datum{'ELBO':>26}{'log p(x)':>11}{'seconds':>9}")
    for name, way in ways.items():
        start = time.perf_counter()
        elbo, model = way()
        seconds = time.perf_counter() - start
        log_evidence = joint_table(model, rows["x"]).log_evidence.mean().item()
        print(f"{name:<42}{elbo:>8.4f}{log_evidence:>11.4f}{seconds:>9.1f}")
    pictures = {"touching": touching_bounds(rows["x"][:, 1:]), "staircase": stairs()}
    pictures["ellipses"] = ellipses_by_step(data, rows["x"])
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        figure.savefig(chosen.out / f"{name}.png", dpi=150)
        print(f"written to {chosen.out / name}.png")


if __name__ == "__main__":
    script()
