"""Experiments, one a file: `ppvae fit NAME` runs them."""

__all__: list[str] = []
