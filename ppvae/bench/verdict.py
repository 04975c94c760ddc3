"""What a bench of gradients allows to say, in plain words."""

from __future__ import annotations

import math

import xarray as xr

__all__ = ["BEYOND", "verdict"]

# Standard errors that a bias must lie beyond to be called one.
BEYOND = 5.0
# Standard errors of a difference that two signal-to-noise ratios must lie apart to be told apart.
_APART = 2.0


def verdict(found: xr.Dataset) -> list[str]:
    """Sentences on each block: the highest signal-to-noise ratio, and who is biased."""
    return [
        sentence
        for block in map(str, found["block"].values)
        for sentence in (_highest(found.sel(block=block), block), _biased(found, block))
        if sentence
    ]


def _highest(own: xr.Dataset, block: str) -> str:
    ratios = {
        str(name): (float(line["snr"]), float(line["snr_se"]))
        for name, line in ((n, own.sel(estimator=n)) for n in own["estimator"].values)
    }
    order = sorted((n for n in ratios if ratios[n][0] > 0), key=lambda n: -ratios[n][0])
    if not order:
        return f"{block}: no estimator shows a signal above its noise with so many draws."
    first, *others = order
    biased = ", biased," if float(own["bias_z"].sel(estimator=first)) > BEYOND else ""
    text = f"{block}: {first}{biased} has the highest signal-to-noise ratio, {_pair(ratios[first])}"
    if not others:
        return f"{text}."
    alike = [n for n in others if not _are_apart(ratios[first], ratios[n])]
    if alike:
        return f"{text}, not told apart from {', '.join(alike)}."
    return f"{text}, ahead of {others[0]}, {_pair(ratios[others[0]])}."


def _biased(found: xr.Dataset, block: str) -> str:
    own = found.sel(block=block)
    off = own["bias_z"].to_series()
    names = [str(name) for name, value in off.items() if value > BEYOND]
    if names:
        each = ", ".join(f"{n} ({float(off[n]):.0f} off {_held(own, n)})" for n in names)
        return f"{block}: biased beyond {BEYOND:g} standard errors: {each}."
    if off.notnull().any():
        return f"{block}: no mean gradient lies beyond {BEYOND:g} standard errors of its reference."
    return f"{block}: nothing to hold a mean gradient against."


def _held(own: xr.Dataset, name: str) -> str:
    line = own.sel(estimator=name)
    reference = str(line["reference"].item())
    return f"the exact {line['target'].item()}" if reference == "exact" else reference


def _are_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    if math.isinf(one[0]):
        return not math.isinf(other[0])
    return one[0] - other[0] > _APART * math.hypot(one[1], other[1])


def _pair(ratio: tuple[float, float]) -> str:
    if math.isinf(ratio[0]):
        return "as it has no noise"
    return f"{ratio[0]:.3g} ± {ratio[1]:.1g}"
