"""Pairs whose rows may have a label y, small ones, with what each takes and holds."""

import torch

from ppvae.distributions import (
    BernoulliLikelihood,
    CategoricalPrior,
    GaussianLikelihood,
    GumbelLabels,
    PartlyObserved,
    RelaxedPrior,
    StandardNormal,
)
from ppvae.guides import CVAEGuide, M1M2Guide, M2Guide
from ppvae.models import CVAE, M1M2, M2
from ppvae.networks import MLP, FirstInput

__all__ = ["CLASSES", "LABELLED", "LABELLED_FIELDS", "latents_of_labelled", "m2"]

CLASSES, D = 3, 2


def m2(width, likelihood=None, hidden=(6,), factored=False, soft=False, **settings):
    """M2 with an uneven p(y); factored, q(z|x) does not read the label."""
    shares = torch.arange(1.0, CLASSES + 1)
    model = M2(
        MLP([D, CLASSES], hidden, width),
        StandardNormal(D),
        BernoulliLikelihood() if likelihood is None else likelihood,
        RelaxedPrior(shares) if soft else CategoricalPrior(shares),
    )
    encoder = MLP([width, CLASSES], hidden, 2 * D)
    return model, M2Guide(
        MLP(width, hidden, CLASSES),
        FirstInput(MLP(width, hidden, 2 * D)) if factored else encoder,
        labels=GumbelLabels() if soft else PartlyObserved,
        **settings,
    )


def cvae(width):
    decoder, encoder = MLP([D, CLASSES], [6], width), MLP([width, CLASSES], [6], 2 * D)
    model = CVAE(decoder, StandardNormal(D), BernoulliLikelihood(), CLASSES)
    return model, CVAEGuide(encoder, CLASSES)


def m1_m2(width):
    model = M1M2(
        MLP(4, [6], width),
        BernoulliLikelihood(),
        MLP([D, CLASSES], [6], 8),
        StandardNormal(D),
        CategoricalPrior.uniform(CLASSES),
    )
    return model, M1M2Guide(MLP(width, [6], 8), MLP(4, [6], CLASSES), MLP([4, CLASSES], [6], 2 * D))


# Constructors by name, from the width of the data.
LABELLED = {
    "m2": m2,
    "m2-gaussian": lambda width: m2(width, GaussianLikelihood()),
    "m2-factored": lambda width: m2(width, factored=True),
    "m2-drawn": lambda width: m2(width, enumerated=False),
    "m2-soft": lambda width: m2(width, soft=True, enumerated=False),
    "cvae": cvae,
    "m1-m2": m1_m2,
}


def partly(x):
    """A label in every second row, classes in turn."""
    rows = torch.arange(len(x))
    return torch.where(rows % 2 == 0, rows // 2 % CLASSES, -1)


# Fields beside x and index, made from rows x, by class and name.
LABELLED_FIELDS = {
    M2: {"y": partly},
    M1M2: {"y": partly},
    CVAE: {"y": lambda x: torch.arange(len(x)) % CLASSES},
}


def latents_of_labelled(model):
    """The event shape of each latent site, by name; None of another model."""
    if isinstance(model, M2):
        return {"y": model.label_prior().event_shape, "z": (D,)}
    return {M1M2: {"z1": (4,), "y": (), "z2": (D,)}, CVAE: {"z": (D,)}}.get(type(model))
