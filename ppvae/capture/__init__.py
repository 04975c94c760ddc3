"""A step written down once and run without the Python around it, or compiled."""

from ppvae.capture.captured import MODES, Captured

__all__ = ["MODES", "Captured"]
