"""Laws over every model and guide we ship: sites, shapes, names, dtypes, state, training."""

import copy
import inspect
import itertools

import pyro
import pytest
import torch
from pairs import (
    PAIRS,
    B,
    P,
    exact,
    fields_for,
    globals_of,
    guided_of,
    latents_of,
    observed_of,
    programs_of,
    rows_for,
)
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from torch import nn

import ppvae.guides
import ppvae.models

every_pair = pytest.mark.parametrize("build", PAIRS.values(), ids=PAIRS)


def modules(pair):
    """The pair's distinct modules; an exact guide belongs to its model."""
    return [part for part in pair if isinstance(part, nn.Module)]


def named_parameters(pair):
    return {name: p for part in modules(pair) for name, p in part.named_parameters()}


def traces(pair, x, num_particles):
    model, guide = programs_of(pair)
    fields = fields_for(pair, x)
    particles = pyro.plate("particles", num_particles, dim=-2)
    guide_trace = poutine.trace(particles(guide)).get_trace(**fields)
    replayed = poutine.replay(model, trace=guide_trace)
    return poutine.trace(particles(replayed)).get_trace(**fields), guide_trace


def log_probs(pair, x, num_particles=7):
    """Log-densities of all sites at the same draws, each (K, B)."""
    pyro.set_rng_seed(1)
    found = {}
    for role, trace in zip(("model", "guide"), traces(pair, x, num_particles), strict=True):
        trace.compute_log_prob()
        for name in {observed_of(pair), *latents_of(pair)} & trace.nodes.keys():
            found[f"{role} {name}"] = trace.nodes[name]["log_prob"]
    return found


def test_every_model_and_guide_is_in_the_registry():
    built = {type(part).__name__ for build in PAIRS.values() for part in modules(build())}
    assert built == {*ppvae.models.__all__, *ppvae.guides.__all__}


def test_no_model_shares_an_attribute_name_with_a_guide():
    parts = {type(part): part for build in PAIRS.values() for part in modules(build())}
    models = [part for kind, part in parts.items() if kind.__name__ in ppvae.models.__all__]
    guides = [part for kind, part in parts.items() if kind.__name__ in ppvae.guides.__all__]
    for model, guide in itertools.product(models, guides):
        # Under Pyro's own SVI two modules of one name collide and one never trains, silently.
        own = [
            {*part._modules, *part._parameters, *part._buffers, *vars(part)}
            - {name for name in vars(part) if name.startswith("_") or name == "training"}
            for part in (model, guide)
        ]
        assert not own[0] & own[1], f"{type(model).__name__} and {type(guide).__name__}"


@every_pair
def test_model_and_guide_take_the_same_batch(build):
    pair = build()
    fields = fields_for(pair, rows_for(pair))
    for program in pair:
        asked = inspect.signature(getattr(program, "forward", program)).parameters
        needed = {name for name, each in asked.items() if each.default is each.empty}
        assert next(iter(asked)) == "x" and needed <= fields.keys()


@every_pair
def test_sites_and_plate_stand_as_designed(build):
    pair = build()
    x, latents, once = rows_for(pair), latents_of(pair), globals_of(pair)
    events = {**latents, observed_of(pair): fields_for(pair, x)[observed_of(pair)].shape[1:]}
    model_trace, guide_trace = traces(pair, x, num_particles=7)
    for trace, sites in ((model_trace, {*events}), (guide_trace, {*guided_of(pair)})):
        found = {*trace.stochastic_nodes, *trace.observation_nodes} - {"data", "particles"}
        # A guide may have sites of its own.
        found = {n for n in found if not trace.nodes[n]["infer"].get("is_auxiliary")}
        assert found == sites | once.keys()
        for name, event in once.items():
            site = trace.nodes[name]
            assert [frame.name for frame in site["cond_indep_stack"]] == ["particles"]
            assert site["fn"].event_shape == event
        for name in sites:
            site = trace.nodes[name]
            plates = {frame.name: (frame.dim, frame.size) for frame in site["cond_indep_stack"]}
            assert plates == {"data": (-1, B), "particles": (-2, 7)}
            # The prior needs no particle dimension: replayed codes broadcast against it.
            assert site["fn"].batch_shape in [(7, B), (B,)]
            assert site["fn"].event_shape == events[name]


@every_pair
@pytest.mark.parametrize("num_particles", [1, 7])
def test_every_log_density_is_per_particle_and_row(build, num_particles):
    pair = build()
    found = log_probs(pair, rows_for(pair), num_particles)
    shapes = {tuple(value.shape) for value in found.values()}
    assert shapes == {(num_particles, B)}


@every_pair
def test_rows_do_not_touch_each_other(build):
    pair = build()
    model, guide = programs_of(pair)
    fields = fields_for(pair, rows_for(pair))
    replayed = poutine.replay(model, trace=poutine.trace(guide).get_trace(**fields))
    drawn = poutine.trace(replayed).get_trace(**fields)
    codes = {name: drawn.nodes[name]["value"] for name in latents_of(pair)}
    model = poutine.condition(model, {n: drawn.nodes[n]["value"] for n in globals_of(pair)})
    one_code, one_row = ({n: value[:1] for n, value in each.items()} for each in (codes, fields))
    whole = poutine.trace(poutine.condition(model, codes)).get_trace(**fields)
    first = poutine.trace(poutine.condition(model, one_code)).get_trace(**one_row)
    for trace in (whole, first):
        trace.compute_log_prob()
    for name in (observed_of(pair), *codes):
        # Without N / B, of which one row has another than all of them.
        one, other = (t.nodes[name]["log_prob"] / t.nodes[name]["scale"] for t in (whole, first))
        torch.testing.assert_close(one[:1], other, rtol=0, atol=1e-12)


@every_pair
def test_a_pair_runs_in_float32(build):
    torch.set_default_dtype(torch.float32)
    pair = build()
    assert {v.dtype for v in log_probs(pair, rows_for(pair)).values()} == {torch.float32}


@every_pair
def test_state_dicts_restore_every_log_density(build):
    pair, other = build(), build()
    # A codebook would move between the two runs.
    for part in (*modules(pair), *modules(other)):
        part.eval()
    x = rows_for(pair)
    before = log_probs(pair, x)
    for source, target in zip(modules(pair), modules(other), strict=True):
        target.load_state_dict(copy.deepcopy(source.state_dict()))
    after = log_probs(other, x)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_an_exact_guide_gives_the_gradient_of_log_evidence():
    model, guide = exact()
    x, parameters = torch.randn(B, P), list(model.parameters())
    expected = torch.autograd.grad(-model.log_evidence(x).sum(), parameters)
    # The guide's parameters are the model's: log w is log p(x) at every draw, and so its slope.
    loss = Trace_ELBO().differentiable_loss(model, guide, x)
    for gradient, slope in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        torch.testing.assert_close(gradient, slope, rtol=0, atol=1e-10)


@every_pair
def test_every_pair_trains_under_pyros_own_svi(build):
    pair = build()
    fields = fields_for(pair, rows_for(pair))
    before = {name: p.detach().clone() for name, p in named_parameters(pair).items()}
    enumerated = getattr(pair[1], "enumerated", False) or guided_of(pair) != latents_of(pair)
    loss = TraceEnum_ELBO(max_plate_nesting=1) if enumerated else Trace_ELBO()
    svi = SVI(*programs_of(pair), pyro.optim.Adam({"lr": 0.01}), loss)
    losses = torch.tensor([svi.step(**fields) for _ in range(200)])
    start, end = losses[:20], losses[-20:]
    noise = (start.var() / 20 + end.var() / 20).sqrt()
    assert start.mean() - end.mean() > 5 * noise
    still = [name for name, p in named_parameters(pair).items() if torch.equal(p, before[name])]
    assert not still
