"""What a gradient estimator cannot treat is refused in one sentence."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from gradient_problems import two_bits
from programs import labelled_pair, linear_pair, rows
from pyro.distributions.transforms import Planar
from torch import nn

from ppvae import ELBO, IWAE, log_terms
from ppvae.estimators import (
    VIMCO,
    ControlVariates,
    DoublyReparameterized,
    LeaveOneOut,
    MovingAverage,
    NeuralBaseline,
    ScoreFunction,
    StickingTheLanding,
)

X = torch.linspace(-1.0, 1.0, 5).double()


def scored_outside(x):
    pyro.sample("s", dist.Poisson(2.0))
    with rows(x):
        pyro.sample("z", dist.Normal(x, 1.0))


def model_outside(x):
    s = pyro.sample("s", dist.Poisson(2.0))
    with rows(x):
        z = pyro.sample("z", dist.Normal(s, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def refusing(estimator, model, guide, x):
    estimator.surrogate(log_terms(model, guide, x, num_particles=estimator.num_particles))


def of_bits(estimator, **settings):
    return lambda: refusing(estimator, *two_bits(**settings)[:2], X)


def of_planar(estimator):
    def attempt():
        flow = [Planar(2)]

        def guide(x):
            with rows(x):
                base = dist.Normal(x[:, :2], 0.5).to_event(1)
                pyro.sample("z", dist.TransformedDistribution(base, flow))

        refusing(estimator, linear_pair().model, guide, torch.randn(3, 4))

    return attempt


def of_labels(estimator):
    def attempt():
        pair = labelled_pair()
        refusing(estimator, pair.model, pair.guide, torch.randn(3, 4))

    return attempt


stl, dreg, score = StickingTheLanding(), DoublyReparameterized(), ScoreFunction()
REFUSED = {
    "no-average": (
        lambda: ELBO(gradient=dreg),
        "DoublyReparameterized must be given a bound of K weights together; got ELBO, for which "
        "it is StickingTheLanding.",
    ),
    "vimco-one": (
        lambda: IWAE(1, gradient=VIMCO()),
        "num_particles must be at least 2 for VIMCO; got 1.",
    ),
    "vimco-elbo": (
        lambda: ELBO(2, gradient=VIMCO()),
        "VIMCO must be given a bound of K weights together; got ELBO, for which it is "
        r"ScoreFunction\(LeaveOneOut\(\)\).",
    ),
    "others-one": (
        lambda: ELBO(1, gradient=ScoreFunction(LeaveOneOut())),
        "num_particles must be at least 2 for LeaveOneOut; got 1.",
    ),
    "others-iwae": (
        lambda: IWAE(2, gradient=ScoreFunction(LeaveOneOut())),
        "LeaveOneOut must have a signal per draw, as the ELBO has; got IWAE, which VIMCO serves.",
    ),
    "decay": (lambda: MovingAverage(1.0), "decay must be at least 0 and below 1; got 1.0."),
    "no-name": (
        of_bits(ELBO(gradient=ScoreFunction({"b": MovingAverage()}))),
        r"baseline must be given for each scored site; got \['b'\], none for 'c'.",
    ),
    "shape": (
        of_bits(ELBO(gradient=ScoreFunction(NeuralBaseline(nn.Unflatten(0, (5, 1)))))),
        r"network must give one number per row, \(5,\); got shape \(5, 1\).",
    ),
    "scale": (
        of_bits(ELBO(gradient=score), scale=0.5),
        "ScoreFunction must score log-densities as they are; got a poutine.scale on 'b'.",
    ),
    "auxiliary": (
        of_bits(IWAE(2, gradient=VIMCO()), auxiliary=True),
        "VIMCO must have auxiliary sites that do not depend on a scored one; got 'a'.",
    ),
    "outside": (
        lambda: refusing(IWAE(2, gradient=VIMCO()), model_outside, scored_outside, X),
        "VIMCO must score latent sites in the data plate; got 's', which is not one",
    ),
    "outside-network": (
        lambda: refusing(
            ELBO(gradient=ScoreFunction(NeuralBaseline(nn.Identity()))),
            model_outside,
            scored_outside,
            X,
        ),
        "NeuralBaseline must serve a site in the data plate, .* got one signal for all rows.",
    ),
    "control-one": (
        lambda: ELBO(gradient=ControlVariates()),
        "num_particles must be at least 2 for ControlVariates; got 1.",
    ),
    "control-iwae": (
        lambda: IWAE(2, gradient=ControlVariates()),
        "ControlVariates must have a signal per draw, as the ELBO has; got IWAE.",
    ),
    "control-codes": (
        of_bits(ELBO(2, gradient=ControlVariates())),
        "ControlVariates must have all drawn sites outside of the data plate; got 'b' in it",
    ),
    "stl-discrete": (of_bits(ELBO(gradient=stl)), "ELBO needs reparameterized or enumerated sites"),
    "dreg-discrete": (of_bits(IWAE(2, gradient=dreg)), "or a gradient that scores the others"),
    "stl-planar": (
        of_planar(ELBO(gradient=stl)),
        "StickingTheLanding scores the guide at its draws",
    ),
    "dreg-planar": (of_planar(IWAE(2, gradient=dreg)), "got a transform without an inverse"),
    "score-planar": (
        of_planar(ELBO(gradient=ScoreFunction(reparameterize=False))),
        "ScoreFunction scores the guide at its draws again: the guide must have a density at any",
    ),
    "labels": (
        of_labels(IWAE(2, gradient=dreg)),
        "DoublyReparameterized needs draws that do not depend on the labels inside of the weight; "
        r"got 'z' \(expected=True sums the labels outside of it\).",
    ),
}


@pytest.mark.parametrize("attempt, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_treated_is_refused_in_a_sentence(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_a_baseline_must_be_one():
    with pytest.raises(TypeError, match="baseline must be a Baseline; got float"):
        ScoreFunction(0.9)
