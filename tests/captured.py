"""One training, as Python and as a graph, for tests that hold the two against each other."""

import torch
from torch.testing import assert_close

import ppvae

__all__ = ["EACH_KIND", "OLD_INDUCTOR", "adam", "assert_equal_trainings", "trained"]

# That of torch 2.6 refuses a look-up by labels that are summed out, and takes the draws of dropout
# and of noise in another order. Both are found out: such a step is replayed, with a warning.
OLD_INDUCTOR = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 14)


# One pair of each kind, for what is dear to do with all.
EACH_KIND = (
    *("linear-gaussian", "bits", "clusters", "bayesian-decoder", "m2", "per-datum", "two-layers"),
    *("flow-guide-planar", "mixture-guide", "vamp-prior", "vq", "hamiltonian"),
)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-2)


def trained(make, loss, mode, batches, steps=6, before=None, optim=adam, **settings):
    """Losses, parameters and buffers after some steps from one seed.

    Args:
        make: gives model and guide.
        loss: gives the loss.
        mode: of the step.
        batches: fields by name, taken in turns.
        steps: how many.
        before: called with model, guide and the number of the step before each.
    """
    torch.manual_seed(1)
    model, guide = make()
    estimator = loss()
    svi = ppvae.SVI(model, guide, optim, estimator, compile=mode, **settings)
    if isinstance(estimator, ppvae.Estimator):
        estimator.begin(steps)
        estimator.prepare(svi.pair, ((), batches[0]), max(len(each["x"]) for each in batches))
    torch.manual_seed(2)
    losses = []
    for step in range(steps):
        if before is not None:
            before(model, guide, step)
        loss = svi.update(**batches[step % len(batches)])
        losses.append(torch.stack(loss) if isinstance(loss, tuple) else loss)
    tensors = svi.pair.leaves | svi.pair.buffers
    kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return torch.stack(losses), kept, svi


def assert_equal_trainings(make, loss, batches, mode="replay", tolerance=0.0, **settings):
    """Hold a captured training against Python's, and give it back."""
    losses, tensors, _ = trained(make, loss, "off", batches, **settings)
    captured, moved, svi = trained(make, loss, mode, batches, **settings)
    close = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    assert_close(captured, losses, **close)
    assert moved.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert_close(moved[name], tensor, msg=lambda text, n=name: f"{n}: {text}", **close)
    return svi
