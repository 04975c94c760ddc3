"""The one place that touches what torch and Pyro do not promise to keep.

Tracing runs a computation once and writes down every operation below autograd, the backward pass
included (``make_fx``). While it runs, numbers that Pyro reads off tensors stay tensors, and what
would read others is refused.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ppvae.capture.moves import built
from ppvae.capture.on_cpu import log1p, product_and_other, through_onednn
from ppvae.capturing import CannotCapture, while_capturing

__all__ = ["compiled", "traced", "unavailable"]

_READS = {
    "__bool__": "an `if` on the value of a tensor",
    "__float__": "a Python number made from a tensor",
    "__int__": "a Python number made from a tensor",
    "__index__": "an index or a size made from a tensor",
    "__complex__": "a Python number made from a tensor",
    "__array__": "a NumPy array made from a tensor",
    "__contains__": "an `in` on the values of a tensor",
    "tolist": "a list made from a tensor",
    "numpy": "a NumPy array made from a tensor",
}

_BERNOULLI = (torch.ops.aten.bernoulli.default, torch.ops.aten.bernoulli.p)


def unavailable() -> str | None:
    """Why nothing can be captured with the installed torch and Pyro; None if it can."""
    try:
        from pyro.util import warn_if_nan
        from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx

        taken = (_dice(), _fulldot(), warn_if_nan, get_proxy_mode, make_fx)
    except (ImportError, AttributeError) as error:
        return f"torch or Pyro has moved what a capture takes ({error})"
    moved = [each for each in taken if not callable(each)]
    return f"torch or Pyro has moved {moved[0]!r}" if moved else None


def traced(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]
) -> tuple[torch.fx.GraphModule, bool]:
    """A flat graph of what a function of tensors does, and whether it adds in another order.

    The function may close over the inputs: they are known by identity.

    Raises:
        CannotCapture: it does what a graph cannot hold; the message says what.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    numbers = _NumbersStay()

    def flat(*_: Tensor) -> list[Tensor]:
        with numbers:
            return list(function())

    try:
        with while_capturing(), _quiet_pyro(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph: torch.fx.GraphModule = make_fx(flat)(*inputs)
    except CannotCapture:
        raise
    except Exception as error:
        # Whatever a program raises here, it does not raise when it runs as Python.
        raise CannotCapture(_in_words(error)) from error
    # Inputs one by one: no tree of containers to be taken apart at each call.
    graph.graph.set_codegen(torch.fx.graph.CodeGen())
    return graph, numbers.reordered


def compiled(
    graph: torch.fx.GraphModule, inputs: Sequence[Tensor]
) -> Callable[..., Sequence[Tensor]]:
    """The graph compiled by Inductor, with torch's own noise so that it can be verified.

    Raises:
        CannotCapture: the compiler is missing or refuses the graph.
    """
    import torch._inductor as inductor

    on_cpu = all(tensor.device.type == "cpu" for tensor in inputs)
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(),
            inductor.config.patch(fallback_random=True),
            _faster_on_cpu() if on_cpu else contextlib.nullcontext() as product,
        ):
            warnings.simplefilter("ignore")
            if product is not None:
                graph = through_onednn(graph, product)
            function: Any = built(inductor.compile, graph, list(inputs))
    except Exception as error:
        raise CannotCapture(f"Inductor refused it: {_first_line(error)}") from error
    return function


@contextlib.contextmanager
def _faster_on_cpu() -> Iterator[Any]:
    """Compile inside this with what is faster on a CPU; oneDNN's x W^T + b, None without it."""
    product = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    try:
        from torch._inductor.decomposition import decompositions
        from torch._inductor.lowering import fallback_handler, lowerings
    except ImportError:
        yield None
        return
    with contextlib.ExitStack() as stack:
        table = {torch.ops.aten.log1p.default: log1p}
        stack.enter_context(mock.patch.dict(decompositions, table))
        for bernoulli in _BERNOULLI:
            # Made from uniform noise it would be other noise than torch's own.
            decompositions.pop(bernoulli, None)
        if product is not None and torch.backends.mkldnn.is_available():
            # Inductor's own way copies what is not contiguous, as a weight's transpose is not.
            plain = fallback_handler(product.default, add_to_fallback_set=False)
            joined = {product.binary: product_and_other(plain, lowerings)}
            stack.enter_context(mock.patch.dict(lowerings, {product.default: plain} | joined))
            yield product.default
        else:
            yield None


class _NumbersStay(TorchFunctionMode):
    """Inside this ``item()`` gives a tensor, and a value that would become Python is refused.

    Attributes:
        reordered: whether a sum has terms that Python leaves out, all of them zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reordered = False

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "item":
            return _number(args[0].detach())
        if func is torch.nn.functional.one_hot:
            return _one_hot(*args, **kwargs)
        if func is torch.tensordot and _called_by(_fulldot()):
            # Labels of probability zero have no part, whatever their cost.
            probability, cost = args
            self.reordered = True
            impossible = ~(probability > 0)
            both = (each.masked_fill(impossible, 0.0) for each in (probability, cost))
            return func(*both, **kwargs)
        if name in _READS and isinstance(args[0], Tensor) and not _is_constant(args[0]):
            if name == "__bool__" and _called_by(_dice()):
                # All labels stay, so that no shape depends on values.
                return True
            raise CannotCapture(_READS[name])
        return func(*args, **kwargs)


def _number(tensor: Tensor) -> Tensor:
    """In double precision, as Python's own numbers are."""
    return tensor.double() if tensor.is_floating_point() else tensor


def _is_constant(tensor: Tensor) -> bool:
    """Whether a tensor was made from numbers in the code, so that it is the same in each run."""
    from torch.fx.experimental.proxy_tensor import get_proxy_mode

    mode: Any = get_proxy_mode()
    proxy = mode.tracer.tensor_tracker.get(tensor) if mode is not None else None
    return proxy is not None and proxy.constant is not None


def _called_by(function: Any) -> bool:
    """Whether a function of Pyro's asks, itself or through torch's own Python."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("torch."):
        frame = frame.f_back
    return frame is not None and frame.f_code is function.__code__


def _dice() -> Any:
    """Pyro's sum over enumerated sites, which leaves out labels of probability zero."""
    from pyro.infer.util import Dice

    return Dice.compute_expectation


def _fulldot() -> Any:
    """The sum of products in it."""
    from pyro.infer.util import _fulldot

    return _fulldot


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        raise CannotCapture("one_hot without a number of classes, which looks for the largest")
    classes = torch.arange(num_classes, device=tensor.device)
    return (tensor.unsqueeze(-1) == classes).to(torch.long)


@contextlib.contextmanager
def _quiet_pyro() -> Iterator[None]:
    """Without the looks at values that Pyro takes for its warnings."""
    from pyro.util import warn_if_nan

    with contextlib.ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("pyro.") and vars(module).get("warn_if_nan") is warn_if_nan:
                stack.enter_context(mock.patch.object(module, "warn_if_nan", _silent))
        yield


def _silent(value: Any, *_: Any, **__: Any) -> Any:
    return value


def _in_words(error: Exception) -> str:
    text = _first_line(error)
    if "get value out of a tracing tensor" in text:
        return "a value that is read off a tensor"
    if "torch._C.Generator" in text:
        return "a draw from a generator of its own"
    return text


def _first_line(error: Exception) -> str:
    return (str(error).partition("Trace Shapes:")[0].strip() or type(error).__name__).splitlines()[
        0
    ]
