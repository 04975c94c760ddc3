"""The same VAE in NumPyro, in a process of its own that answers requests for so many steps.

    python benchmarks/numpyro_vae.py DATA.npy --batch-size 128 --block 10

It first writes its versions, a line of JSON, and then answers each line of its input:

    {"what": "jit", "steps": S}     seconds of S calls of ``jit(svi.update)``
    {"what": "loop", "steps": S}    seconds of S steps in one ``fori_loop``
    {"what": "loss", "weights": FILE.npz, "repeats": R}    R losses of the first batch

The gather of a minibatch is inside of what is compiled. ``numpyro_child.py`` starts it, with the
number of threads in its environment, and asks.
"""

import argparse
import json
import sys
import time
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array, lax
from numpyro.infer import SVI, Trace_ELBO

LATENT_DIM, HIDDEN = 20, 400


def mlp(name: str, widths: tuple[int, int, int], x: Array) -> Array:
    """A perceptron with one hidden layer of tanh units, from (..., P)."""
    for layer, (before, after) in enumerate(pairwise(widths)):
        x = jnp.tanh(x) if layer else x

        def uniform(key: Array, shape: tuple[int, ...], limit: float = before**-0.5) -> Array:
            return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

        shape = (before, after)
        weight = numpyro.param(f"{name}.{layer}.weight", lambda k, s=shape, u=uniform: u(k, s))
        bias = numpyro.param(f"{name}.{layer}.bias", lambda k, s=shape, u=uniform: u(k, s[1:]))
        x = x @ weight + bias
    return x


def model(x: Array) -> None:
    """p(z) p(x|z) of rows x, (B, P)."""
    with numpyro.plate("data", len(x)):
        z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT_DIM), 1.0).to_event(1))
        logits = mlp("decoder", (LATENT_DIM, HIDDEN, x.shape[-1]), z)
        numpyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x)


def guide(x: Array) -> None:
    """q(z|x) of rows x, (B, P)."""
    params = mlp("encoder", (x.shape[-1], HIDDEN, 2 * LATENT_DIM), x)
    loc, log_scale = jnp.split(params, 2, -1)
    with numpyro.plate("data", len(x)):
        numpyro.sample("z", dist.Normal(loc, jnp.exp(log_scale)).to_event(1))


class Trainer:
    """Both ways to take steps, from one state.

    Args:
        data: rows, (N, P).
        batch_size: B.
        seed: of weights, noise and the order of rows.
    """

    def __init__(self, data: np.ndarray, batch_size: int, seed: int) -> None:
        self.data = jnp.asarray(data)
        self.svi = SVI(model, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())
        order = np.random.default_rng(seed).permutation(len(data))
        order = order[: len(data) // batch_size * batch_size].reshape(-1, batch_size)
        self.order = jnp.asarray(order)
        self.start = 0
        init = jax.jit(self.svi.init)
        first = self.data[self.order[0]]
        # One each: the loop takes its state over, so that nothing is copied.
        self.states = {
            "jit": init(jax.random.key(seed), first),
            "loop": init(jax.random.key(seed), first),
        }
        self._update = jax.jit(lambda state, data, index: self.svi.update(state, data[index])[0])
        self._loop = jax.jit(self._steps, donate_argnums=0)

    def _steps(self, state: Any, data: Array, order: Array) -> Any:
        def body(i: Array, state: Any) -> Any:
            return self.svi.update(state, data[order[i]])[0]

        return lax.fori_loop(0, len(order), body, state)

    def seconds(self, what: str, steps: int) -> float:
        """Take so many steps, and say how long they took."""
        turn = (self.start + np.arange(steps)) % len(self.order)
        order = jax.block_until_ready(self.order[turn])
        rows = list(order) if what == "jit" else []
        self.start += steps
        start = time.perf_counter()
        if what == "jit":
            for index in rows:
                self.states["jit"] = self._update(self.states["jit"], self.data, index)
        else:
            self.states["loop"] = self._loop(self.states["loop"], self.data, order)
        jax.block_until_ready(self.states[what])
        return time.perf_counter() - start

    def losses(self, weights: str, repeats: int) -> list[float]:
        """Losses of the first batch of rows, as they stand, at given weights, with fresh noise."""
        params = {name: jnp.asarray(each) for name, each in np.load(weights).items()}
        x = self.data[: self.order.shape[1]]

        def loss(key: Array) -> Array:
            return Trace_ELBO().loss(key, params, model, guide, x)

        keys = jax.random.split(jax.random.key(0), repeats)
        return [float(each) for each in jax.jit(lambda keys: lax.map(loss, keys))(keys)]


def main() -> int:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    trainer = Trainer(np.load(chosen.data), chosen.batch_size, chosen.seed)
    versions = {"numpyro": numpyro.__version__, "jax": jax.__version__}
    print(json.dumps({"versions": versions, "device": jax.devices()[0].platform}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["what"] == "loss":
            answer: Any = trainer.losses(asked["weights"], asked["repeats"])
        else:
            answer = trainer.seconds(asked["what"], asked["steps"])
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
