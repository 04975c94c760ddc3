"""Structures of pairs, steps and losses that a captured step keeps, or says that it cannot."""

import functools

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from captured import adam, assert_equal_trainings, trained
from owners import OWNERS
from programs import ENUMERATED, binary_rows, binary_vae, rows, standard_normal
from torch import nn
from torch.testing import assert_close

import ppvae
from ppvae.named import estimator_named


def batches(sizes=(5, 5), width=6):
    torch.manual_seed(0)
    return [{"x": binary_rows(size, width)} for size in sizes]


@pytest.mark.parametrize("loss", [ppvae.ELBO, pyro.infer.Trace_ELBO], ids=["ours", "Pyro's"])
@pytest.mark.parametrize("owner", OWNERS)
def test_every_way_to_own_parameters(owner, loss):
    assert assert_equal_trainings(OWNERS[owner], loss, batches()).how == "replay"


def subsampled():
    data = torch.randn(40, 6)
    decoder, encoder = nn.Linear(2, 6), nn.Linear(6, 2)

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("data", 40, subsample_size=8, dim=-1) as index:
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=data[index])

    def guide(x):
        pyro.module("encoder", encoder)
        with pyro.plate("data", 40, subsample_size=8, dim=-1) as index:
            pyro.sample("z", dist.Normal(encoder(data[index]), 0.5).to_event(1))

    return model, guide


def labelled():
    """Labels that are enumerated, of which a few rows have none that is possible but one."""
    encoder, means = nn.Linear(6, 3), nn.Parameter(torch.randn(3, 6))

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(logits=torch.zeros(3)))
            loc = pyro.param("means", means)[y]
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        known = (x[:, :1] > 0) & (torch.arange(3) > 0)
        with rows(x):
            logits = encoder(x).masked_fill(known, -torch.inf)
            pyro.sample("y", dist.Categorical(logits=logits), infer=ENUMERATED)

    return model, guide


def of(family):
    """A pair whose code has another family than the normal one."""

    def make():
        encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)

        def model(x):
            pyro.module("decoder", decoder)
            with rows(x):
                z = pyro.sample("z", family(torch.ones(2), torch.ones(2)).to_event(1))
                pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

        def guide(x):
            pyro.module("encoder", encoder)
            one, two = nn.functional.softplus(encoder(x)).chunk(2, -1)
            with rows(x):
                pyro.sample("z", family(one + 0.1, two + 0.1).to_event(1))

        return model, guide

    return make


FAMILIES = (dist.Gamma, dist.Beta, dist.Laplace, dist.LogNormal, dist.StudentT, dist.Weibull)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_families_of_codes(family):
    assert assert_equal_trainings(of(family), ppvae.ELBO, batches()).how == "replay"


def test_subsampled_plates_draw_other_rows_in_each_step():
    for loss in (ppvae.ELBO, pyro.infer.Trace_ELBO):
        assert assert_equal_trainings(subsampled, loss, batches()).how == "replay"


@pytest.mark.parametrize("expected", [True, False])
def test_labels_that_cannot_be_in_patterns_that_were_not_captured(expected):
    loss = functools.partial(ppvae.IWAE, 3, expected=expected)
    assert assert_equal_trainings(labelled, loss, batches((5,) * 4)).how == "replay"


def one_hot_labels():
    net = nn.Linear(3, 6)

    def model(x):
        pyro.module("net", net)
        with rows(x):
            y = pyro.sample("y", dist.Categorical(logits=torch.zeros(3)))
            loc = net(nn.functional.one_hot(y, 3).to(x))
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    return model, labelled()[1]


def test_one_hot_labels():
    assert assert_equal_trainings(one_hot_labels, ppvae.ELBO, batches()).how == "replay"


def test_impossible_labels_under_pyro_agree_to_rounding():
    # Pyro leaves them out of its sum, and adds the others in another order.
    loss = functools.partial(pyro.infer.TraceEnum_ELBO, max_plate_nesting=1)
    losses, tensors, _ = trained(labelled, loss, "off", batches((5,) * 4))
    captured, moved, svi = trained(labelled, loss, "replay", batches((5,) * 4))
    assert svi.how == "replay"
    assert_close(captured, losses, rtol=1e-12, atol=0)
    for name, tensor in tensors.items():
        assert_close(moved[name], tensor, rtol=1e-10, atol=1e-12)


def test_what_forbids_capture_runs_as_python():
    def angles(loc, concentration):
        return dist.VonMises(loc, concentration)

    losses, _, _ = trained(of(angles), ScoreELBO, "off", batches())
    with pytest.warns(UserWarning, match="each step runs as Python, since"):
        captured, _, svi = trained(of(angles), ScoreELBO, "replay", batches())
    assert svi.how == "eager"
    assert torch.equal(losses, captured)


def ScoreELBO():
    return pyro.infer.TraceGraph_ELBO()


SETTINGS = {
    "clip_norm": {"clip_norm": 0.1},
    "clipped per parameter": {"optim": pyro.optim.Adam({"lr": 1e-2}, {"clip_norm": 0.1})},
    "sgd": {"optim": functools.partial(torch.optim.SGD, lr=1e-3, momentum=0.9)},
    "ClippedAdam": {"optim": pyro.optim.ClippedAdam({"lr": 1e-2, "lrd": 0.9})},
    "by name": {"optim": pyro.optim.Adam(lambda name: {"lr": 1e-2 if "net" in name else 1e-3})},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_optimizers_and_clipping(settings):
    svi = assert_equal_trainings(binary_vae, ppvae.ELBO, batches(), **SETTINGS[settings])
    assert svi.how == "replay"


def test_a_learning_rate_schedule_goes_on():
    found = []
    for mode in ("off", "replay"):
        schedule = pyro.optim.ExponentialLR(
            {"optimizer": torch.optim.Adam, "optim_args": {"lr": 0.1}, "gamma": 0.5}
        )
        _, tensors, svi = trained(
            binary_vae,
            ppvae.ELBO,
            mode,
            batches(),
            optim=schedule,
            before=lambda m, g, step, s=schedule: s.step() if step else None,
        )
        assert svi.optimizer.param_groups[0]["lr"] == 0.1 * 0.5**5
        found.append(tensors)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_three_hundred_captured_steps_end_at_pyros_own_parameters():
    x, ends = binary_rows(8), []
    for kind in (pyro.infer.SVI, functools.partial(ppvae.SVI, compile="replay")):
        torch.manual_seed(1)
        pyro.clear_param_store()
        model, guide = binary_vae()
        svi = kind(model, guide, pyro.optim.Adam({"lr": 1e-2}), pyro.infer.Trace_ELBO())
        torch.manual_seed(2)
        for _ in range(300):
            svi.step(x)
        ends.append([p.detach() for m in (model, guide) for p in m.parameters()])
    assert svi.how == "replay"
    for ours, pyros in zip(*ends, strict=True):
        assert_close(ours, pyros, rtol=0, atol=1e-6)


def test_gradients_that_lie_on_parameters_are_added_to():
    torch.manual_seed(1)
    model, guide = binary_vae()
    svi = ppvae.SVI(model, guide, adam, ppvae.ELBO(), compile="replay")
    x = binary_rows()
    for _ in range(4):
        svi.update(x)
    torch.manual_seed(2)
    svi.gradients(x)
    once = [p.grad.clone() for p in model.parameters()]
    torch.manual_seed(2)
    svi.gradients(x)
    for parameter, gradient in zip(model.parameters(), once, strict=True):
        assert torch.equal(parameter.grad, 2 * gradient)


def test_noise_is_fresh_in_each_replay():
    model, guide = binary_vae()
    still = functools.partial(torch.optim.SGD, lr=0.0)
    svi = ppvae.SVI(model, guide, still, ppvae.ELBO(), compile="replay")
    x = binary_rows()
    losses = [svi.step(x) for _ in range(10)]
    assert svi.how == "replay"
    assert len(set(losses)) == 10


@pytest.mark.parametrize("estimator", ["elbo+stl", "iwae:3+dreg", "tail:3", "piwae:2:2", "rws:3"])
def test_a_buffer_that_nothing_writes_to_does_not_keep_a_pair_from_being_captured(estimator):
    def scaled():
        model, guide = binary_vae()
        model.register_buffer("unit", torch.ones(()))
        model.decoder.register_forward_hook(lambda m, inputs, output: output * model.unit)
        return model, guide

    svi = assert_equal_trainings(scaled, lambda: estimator_named(estimator), [{"x": binary_rows()}])
    assert svi.how == "replay"


@pytest.mark.parametrize("estimator", ["elbo+stl", "tail:3"])
def test_running_statistics_move_once_in_a_graph_too(estimator):
    def normed():
        model, guide = binary_vae()
        guide.encoder = nn.Sequential(nn.BatchNorm1d(6, dtype=torch.float64), guide.encoder)
        return model, guide

    svi = assert_equal_trainings(normed, lambda: estimator_named(estimator), batches())
    assert svi.how == "replay"
