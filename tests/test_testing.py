"""check_estimator passes what is right, and names the law that a wrong estimator breaks."""

import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Estimator, Renyi, log_terms
from ppvae.estimators.gradients import VIMCO
from ppvae.named import ALL, estimator_named
from ppvae.testing import LawBroken, bits, check_estimator, labelled, layered, linear

PROBLEMS = (linear, layered, bits, labelled)


class Right(Estimator):
    """The importance-weighted bound, as one would write it."""

    bound_kind = "lower"

    def __init__(self):
        super().__init__(5)

    def bound(self, terms):
        return terms.marginal.logsumexp(0) - math.log(terms.num_particles)


class OfDraws(Right):
    def bound(self, terms):
        return terms.marginal


class OfAllRows(Right):
    def bound(self, terms):
        return super().bound(terms).mean().expand(terms.batch_size)


class Infinite(Right):
    def bound(self, terms):
        return super().bound(terms) / 0.0


class Maximum(Right):
    def bound(self, terms):
        return terms.marginal.max(0).values


class Below(Right):
    bound_kind = "upper"

    def bound(self, terms):
        return terms.marginal.mean(0)


class Loose(Right):
    def bound(self, terms):
        return super().bound(terms) - 1.0


class Scaled(Right):
    def bound(self, terms):
        return super().bound(terms) * terms.scale


class LossOfTheMean(Right):
    def loss(self, *args, **kwargs):
        return super().loss(*args, **kwargs) / 7


class NotDetached(Right):
    def surrogate(self, terms):
        weight = terms.marginal.softmax(0)
        return (weight * terms.marginal).sum(0)


class ScoreLeftOut(Right):
    def surrogate(self, terms):
        return self.bound(terms)


class Counting(Right):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def bound(self, terms):
        self.count += 1
        return super().bound(terms)


BROKEN = {
    OfDraws: r"bound must be \(B,\) = \(7,\); got \(5, 7\)",
    OfAllRows: "the bound of a datum must not depend on the other rows",
    Infinite: "bound must be finite on linear-Gaussian",
    Maximum: r"a lower bound must not exceed log p\(x\) in expectation; on",
    Below: "an upper bound must not lie below log mean w of the same draws",
    Loose: r"with the exact posterior of linear-Gaussian the bound must be log p\(x\)",
    Scaled: "N/B must not enter the bound of a datum",
    LossOfTheMean: "the loss must be minus the N/B-scaled sum of the bound",
    NotDetached: "the mean gradient must be that of the bound; on",
    ScoreLeftOut: "the expected gradient of 'logits' must be exact on two bits",
    Counting: "evaluation must leave the estimator as it is; it changed 'count'",
}


@pytest.mark.parametrize("estimator", [Right, ELBO(), ELBO(3, True), IWAE(4), Renyi(0.5, 3)])
def test_what_is_right_keeps_every_law(estimator):
    assert "unbiased" in check_estimator(estimator, draws=1000).laws["gradient"]


@pytest.mark.parametrize(("estimator", "law"), BROKEN.items())
def test_the_law_that_is_broken_is_named(estimator, law):
    with pytest.raises(LawBroken, match=law):
        check_estimator(estimator)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_evidence_of_a_problem_is_exact(problem):
    pair = problem(2000)
    terms = log_terms(pair.model, pair.guide, pair.x, num_particles=100)
    weight = (terms.marginal.detach() - pair.log_evidence[0]).exp()
    rows = weight.mean(0)
    assert abs(rows.mean() - 1) < 5 * rows.std() / len(rows) ** 0.5


@pytest.mark.parametrize("problem", [linear, layered, labelled])
def test_the_guide_of_a_problem_is_exact_at_offset_zero(problem):
    pair = problem(5, offset=0.0)
    terms = log_terms(pair.model, pair.guide, pair.x, num_particles=3)
    assert_close(terms.marginal, pair.log_evidence.expand(3, 5), rtol=0, atol=1e-12)


def test_what_is_no_estimator_is_refused():
    with pytest.raises(TypeError, match="estimator must be a ppvae Estimator; got int"):
        check_estimator(3)


def test_a_report_reads_as_lines():
    lines = str(check_estimator(IWAE(2), draws=200)).splitlines()
    assert lines[0] == "iwae:2"
    assert "per datum" in lines[1]


def test_the_bound_in_the_readme_keeps_every_law():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    block = readme.split("<!-- own bound -->\n```python\n")[1].split("```")[0]
    assert len(block.split("class ")[1].strip().splitlines()) <= 10
    names = {}
    exec(block, names)
    report = check_estimator(names["MyBound"], draws=1000)
    assert "unbiased" in report.laws["gradient"]
    scored = check_estimator(names["MyBound"](VIMCO(), 3), draws=200)
    assert "exact to 1e-10" in scored.laws["discrete latents"]


@pytest.mark.parametrize("name", [name for name in ALL if name != "Trace_ELBO"])
def test_every_estimator_that_has_a_name_keeps_every_law(name):
    report = check_estimator(estimator_named(name), draws=400)
    follows = estimator_named(name).biased_for()
    assert ("unbiased" in report.laws["gradient"]) == (follows is None)
