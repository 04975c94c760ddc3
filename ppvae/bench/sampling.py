"""Many gradients at the same parameters: vectorized over draws where that can be done."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Mapping

import pyro
import pyro.infer
import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from ppvae.bench.swapped import Swapped
from ppvae.draws import drawn_terms
from ppvae.estimators import Estimator
from ppvae.generators import generator_states, generators_put_back, restore_generators
from ppvae.pair import Batch, Pair
from ppvae.passes import size_of
from ppvae.svi import SVI
from ppvae.tracing import buffers_put_back

__all__ = ["Drawn", "Sampler"]

# Gradients by parameter, (draws, *shape), and values of the bound, (draws,).
Drawn = tuple[dict[str, Tensor], Tensor]

# Numbers of draws computed at once: on a CPU they should stay in the cache.
_AT_ONCE = 2**20
# Below this the bookkeeping of a vectorized computation costs what it saves.
_FEWEST = 4


class Sampler:
    """Independent gradients of an estimator, as a training step would follow them.

    They are those of the mean bound per datum in nats, upwards. Nothing moves: the estimator is a
    copy that does not learn, and parameters, buffers, generators and ``.grad`` go back.

    Args:
        pair: model and guide, whose parameters exist.
        batch: what they are run on.
        estimator: whose gradient is taken.
        leaves: the parameters that it is taken in, by name.

    Attributes:
        at_once: draws that are computed together; 1 where they are looped.
    """

    def __init__(
        self, pair: Pair, batch: Batch, estimator: pyro.infer.ELBO, leaves: Mapping[str, Tensor]
    ) -> None:
        self._pair = pair
        self._batch = batch
        self._estimator = copy.deepcopy(estimator)
        if isinstance(self._estimator, nn.Module):
            # What it learns, it learns from training steps.
            self._estimator.eval()
        if isinstance(self._estimator, Estimator) and not list(self._estimator.buffers()):
            # One that holds something of each row already keeps it.
            self._estimator.prepare(pair, batch, _rows_of(batch))
        self._leaves = dict(leaves)
        self._svi = SVI(pair.model, pair.guide, torch.optim.Adam, self._estimator)
        self._factor, size = self._sizes()
        self.at_once = self._tried(_AT_ONCE // size)

    def draw(self, number: int) -> Iterator[Drawn]:
        """So many gradients, a few at a time."""
        with self.still():
            for start in range(0, number, self.at_once):
                some = min(self.at_once, number - start)
                yield self._looped() if self.at_once == 1 else self._vectorized(some)

    def one(self) -> Drawn:
        """One ordinary gradient; to be called inside of :meth:`still`."""
        return self._looped()

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Run the pair inside this: gradients that lie on parameters go back, buffers too."""
        lying = {name: leaf.grad for name, leaf in self._leaves.items()}
        self._clear()
        try:
            with (
                self._pair.entered(),
                buffers_put_back(self._pair),
                pyro.validation_enabled(False),
            ):
                yield
        finally:
            for name, leaf in self._leaves.items():
                leaf.grad = lying[name]

    def _sizes(self) -> tuple[float, int]:
        """N, which turns a loss into one per datum, and how many numbers a draw takes."""
        particles = int(getattr(self._estimator, "num_particles", 1))
        with self.still(), generators_put_back(), torch.no_grad():
            terms = drawn_terms(self._pair, self._batch, particles)
            args, fields = self._batch
            data = sum(v.numel() for v in (*args, *fields.values()) if isinstance(v, Tensor))
            drawn = sum(value.numel() for value in terms.values.values())
        parameters = sum(leaf.numel() for leaf in self._leaves.values())
        return terms.scale * terms.batch_size, max(drawn + particles * data, parameters)

    def _tried(self, at_once: int) -> int:
        """How many draws are computed together, after a look at whether they come out right."""
        if at_once < _FEWEST or not isinstance(self._estimator, Estimator):
            with self.still(), generators_put_back():
                # What it refuses, it refuses now.
                self._looped()
            return 1
        with self.still(), generators_put_back():
            reason = self._reason_to_loop()
        if reason is None:
            return at_once
        name = type(self._estimator).__name__
        warnings.warn(
            f"gradients of {name} are drawn one by one, since {reason}",
            stacklevel=5,
        )
        return 1

    def _reason_to_loop(self) -> str | None:
        start = generator_states()
        ordinary = _joined(self._looped())
        after = generator_states()
        if not all(torch.equal(start[name], after[name]) for name in ("numpy", "python")):
            return "the pair draws from NumPy or Python"
        try:
            restore_generators(start)
            alone = _joined(self._vectorized(1))
            two = _joined(self._vectorized(2))
        except Exception as error:
            return (str(error).strip() or type(error).__name__).splitlines()[0]
        # One draw of a vectorized computation takes the noise that an ordinary one takes.
        tolerance = torch.finfo(ordinary.dtype).eps ** 0.5 * ordinary.norm()
        if ordinary.isfinite().all() and not (alone - ordinary).norm() <= tolerance:
            return "a draw of several computed together is not the one computed alone"
        if torch.equal(two[0], two[1]) and not torch.equal(two[0], ordinary[0]):
            return "draws that are computed together are all the same"
        return None

    def _looped(self) -> Drawn:
        args, fields = self._batch
        loss = self._svi.gradients(*args, **fields)
        found = {
            name: self._upwards(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)[None]
            for name, leaf in self._leaves.items()
        }
        self._clear()
        total = torch.as_tensor(sum(loss) if isinstance(loss, tuple) else loss)
        return found, self._upwards(total)[None]

    def _vectorized(self, number: int) -> Drawn:
        leaves = list(self._leaves.values())
        args, fields = self._batch
        estimator, pair = self._estimator, self._pair
        assert isinstance(estimator, Estimator)

        def loss(values: list[Tensor], draw: Tensor) -> Tensor:
            with Swapped(leaves, values, draw):
                return estimator.differentiable_loss(pair.model, pair.guide, *args, **fields)

        each = vmap(grad_and_value(loss), in_dims=(None, 0), randomness="different")
        gradients, losses = each([t.detach() for t in leaves], leaves[0].new_zeros(number))
        upwards = [self._upwards(g.detach()) for g in gradients]
        return dict(zip(self._leaves, upwards, strict=True)), self._upwards(losses.detach())

    def _upwards(self, downwards: Tensor) -> Tensor:
        return -downwards / self._factor

    def _clear(self) -> None:
        for leaf in self._leaves.values():
            leaf.grad = None


def _rows_of(batch: Batch) -> int:
    """How many rows the data have, as far as the batch tells."""
    index = batch[1].get("index")
    return int(index.max()) + 1 if isinstance(index, Tensor) else size_of(batch)


def _joined(drawn: Drawn) -> Tensor:
    """Gradients side by side, (draws, P)."""
    return torch.cat([gradient.reshape(len(drawn[1]), -1) for gradient in drawn[0].values()], 1)
