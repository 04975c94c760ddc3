"""A trained network that a later training leaves as it is."""

import copy

from torch import Tensor, nn

__all__ = ["Frozen"]


class Frozen(nn.Module):
    """A copy of a network whose parameters are buffers: nothing moves them, and a run keeps them.

    Parameters with ``requires_grad_(False)`` are left as they are too, but are no part of what is
    trained, and so of no checkpoint.

    Args:
        network: what is copied; dropout and batch norm of it stay switched as in evaluation.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for module in self.network.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
        self.network.eval()

    def train(self, mode: bool = True) -> "Frozen":
        """Switch nothing: it stays in evaluation."""
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map the inputs as the network does."""
        out: Tensor = self.network(*inputs)
        return out
