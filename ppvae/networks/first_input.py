"""A network that takes several inputs and looks at the first."""

from torch import Tensor, nn

__all__ = ["FirstInput"]


class FirstInput(nn.Module):
    """f(x) where f(x, y) is asked for: q(z|x) in the place of q(z|x, y), for one.

    Args:
        network: f, of one input.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Map x as the network does; the others are left alone."""
        out: Tensor = self.network(x)
        return out
