"""A step that is launched as a whole, as on a GPU, as far as a CPU can show it.

The recorder here does the operations anew at each launch, into the places of its first outputs:
fixed addresses, fresh noise, and nothing of the device.
"""

import functools

import pyro
import pytest
import torch
from captured import assert_equal_trainings, trained
from programs import binary_rows, binary_vae

import ppvae
from ppvae import svi as steps
from ppvae.capture import graph as graphs
from ppvae.capture.launched import Launched, recorder_for

adam = functools.partial(torch.optim.Adam, lr=1e-2, fused=True)


def record(run):
    """As a GPU does it: a warm-up and a recording, which move things, and then launches."""
    run()
    outputs = [tensor.clone() for tensor in run()]

    def launch():
        for place, tensor in zip(outputs, run(), strict=True):
            place.copy_(tensor)

    return outputs, launch


@pytest.fixture
def launches(monkeypatch):
    """Let a CPU pass for a device that launches whole steps; counts the recordings."""
    recorded = []

    def counted(run):
        recorded.append(run)
        return record(run)

    monkeypatch.setattr(graphs, "recorder_for", lambda tensors: counted)
    monkeypatch.setattr(steps, "pays", lambda leaves: True)
    return recorded


def batches(sizes=(5, 5)):
    torch.manual_seed(0)
    return [{"x": binary_rows(size)} for size in sizes]


@pytest.mark.parametrize("loss", [ppvae.ELBO, pyro.infer.Trace_ELBO], ids=["ours", "Pyro's"])
@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.1}], ids=["", "clipped"])
def test_a_launched_step_is_pythons_bit_for_bit(launches, loss, settings):
    svi = assert_equal_trainings(binary_vae, loss, batches(), steps=9, optim=adam, **settings)
    assert svi.how == "replay"
    assert len(launches) == 1
    assert svi.optimizer.state[next(iter(svi.pair.leaves.values()))]["step"] == 9


def test_a_launched_step_is_compiled_too(launches):
    svi = assert_equal_trainings(
        binary_vae, ppvae.ELBO, batches(), mode="inductor", tolerance=1e-12, steps=9, optim=adam
    )
    assert svi.how == "inductor"
    # Once as it was written down, once as it was compiled.
    assert len(launches) == 2


def test_batches_of_other_shapes_are_recorded_apart(launches):
    assert_equal_trainings(binary_vae, ppvae.ELBO, batches((5, 3)), steps=9, optim=adam)
    assert len(launches) == 2


def test_a_schedule_of_the_optimizer_takes_the_move_out_of_the_launch(launches):
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
            steps=9,
            optim=schedule,
            before=lambda m, g, step, s=schedule: s.step() if step > 4 else None,
        )
        found.append(tensors)
    assert svi.how == "replay"
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_losses_that_are_kept_stay_what_they_were(launches):
    torch.manual_seed(1)
    svi = ppvae.SVI(*binary_vae(), adam, ppvae.ELBO(), compile="replay")
    x = binary_rows()
    kept = [svi.update(x) for _ in range(9)]
    assert len({loss.item() for loss in kept}) == 9


def test_what_the_device_cannot_record_is_launched_one_by_one(launches, monkeypatch):
    def refuse(run):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "recorder_for", lambda tensors: refuse)
    with pytest.warns(UserWarning, match="launched one by one, since the device cannot record"):
        svi = assert_equal_trainings(binary_vae, ppvae.ELBO, batches(), steps=6, optim=adam)
    assert svi.how == "replay"


@pytest.mark.parametrize("mode", ["replay", "inductor"])
def test_a_launch_that_gives_other_numbers_is_not_used(launches, monkeypatch, mode):
    def wrong(run):
        outputs, launch = record(run)
        return outputs, lambda: (launch(), [tensor.mul_(1.1) for tensor in outputs])

    monkeypatch.setattr(graphs, "recorder_for", lambda tensors: wrong)
    with pytest.warns(UserWarning, match="one by one, since run as a graph its numbers differ"):
        svi = assert_equal_trainings(
            binary_vae, ppvae.ELBO, batches(), mode, tolerance=1e-12, steps=9, optim=adam
        )
    assert svi.how == mode


def steps_on_rows(mode, fields):
    """Losses and parameters of a pair stepped on rows of fields that depend on the step."""
    torch.manual_seed(1)
    svi = ppvae.SVI(*binary_vae(), adam, ppvae.ELBO(), compile=mode)
    rows = torch.randperm(12).view(3, 4)
    losses = []
    for step in range(12):
        taken = rows[step % 3][: 3 if step % 4 == 3 else 4]
        losses.append(svi.update_rows(fields(step), taken))
    return torch.stack(losses), dict(svi.params), svi


@pytest.mark.parametrize("change", ["never", "other tensors", "in place", "other rows"])
def test_rows_are_gathered_inside_of_the_launch(launches, monkeypatch, change):
    torch.manual_seed(0)
    x = [binary_rows(12), binary_rows(12), binary_rows(15)]
    lying = x[0].clone()

    def fields(step):
        late = step >= 6
        if change == "in place" and step == 6:
            lying.copy_(x[1])
        which = {"other tensors": late, "other rows": 2 * late}.get(change, 0)
        return {"x": lying if change == "in place" else x[which]}

    found = steps_on_rows("replay", fields)
    count = len(launches)
    lying.copy_(x[0])
    monkeypatch.setattr(steps, "pays", lambda leaves: False)
    truth = steps_on_rows("off", fields)
    assert torch.equal(found[0], truth[0])
    assert all(torch.equal(found[1][name], truth[1][name]) for name in truth[1])
    assert found[2].how == "replay"
    # A recording for each number of rows, and anew where the data are others in shape.
    assert count == (4 if change == "other rows" else 2)


def test_data_that_stay_are_copied_once():
    x, y = torch.zeros(3), torch.ones(3)
    launched = Launched(lambda a, b: [a + b], [x, y], [], record)
    place = launched._places[0]
    version = place._version
    for number in range(4):
        assert torch.equal(launched(x, y + number)[0], torch.ones(3) + number)
    assert place._version - version == 1
    x += 1.0
    assert torch.equal(launched(x, y)[0], torch.full((3,), 2.0))


def test_a_cpu_records_nothing():
    assert recorder_for([torch.zeros(2)]) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["replay", "inductor"])
def test_on_a_gpu_noise_is_fresh_and_numbers_are_pythons(mode):
    torch.set_default_device("cuda")
    try:
        tolerance = 0.0 if mode == "replay" else 1e-10
        svi = assert_equal_trainings(
            binary_vae, ppvae.ELBO, batches(), mode=mode, tolerance=tolerance, steps=9, optim=adam
        )
        still = functools.partial(torch.optim.SGD, lr=0.0)
        x = binary_rows()
        frozen = ppvae.SVI(*binary_vae(), still, ppvae.ELBO(), compile=mode)
        losses = {float(frozen.update(x)) for _ in range(20)}
    finally:
        torch.set_default_device("cpu")
    assert svi.how == mode
    assert len(losses) == 20
