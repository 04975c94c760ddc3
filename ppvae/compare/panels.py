"""The pictures of a report on a comparison, each with its caption and its words for the blind."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ppvae.evaluate.pareto import LEAST_DRAWS, khat_threshold
from ppvae.intervals import Interval
from ppvae.plot.canvas import new_figure
from ppvae.plot.curves import curves_by
from ppvae.plot.draws import ByDraws, against_draws
from ppvae.plot.looks import Look
from ppvae.plot.mosaic import draw_mosaic, shades
from ppvae.plot.rows import heat, histograms, intervals, sums
from ppvae.report import Picture

__all__ = [
    "above_which",
    "by_coordinate",
    "by_draws",
    "by_parts",
    "sample_pictures",
    "while_training",
]

Array = NDArray[np.float64]
Looks = Mapping[str, Look]

_READINGS = {"equal steps": "difference", "equal seconds": "difference_at_equal_seconds"}
_DRAWS = re.compile(r":\d+$")


def above_which(own: xr.Dataset, looks: Looks) -> list[Picture]:
    """The differences to the first estimator with their intervals."""
    first, *others = _labels(own)
    readings = {
        name: {label: _interval(own, label, column) for label in others}
        for name, column in _READINGS.items()
    }
    readings = {name: _known(values) for name, values in readings.items()}
    if not any(readings.values()):
        return []
    claim = "One seed alone gives no interval."
    if own.sizes["seed"] > 1:
        claim = (
            f"The intervals of all lines hold together at {own.attrs['confidence']:.0%}; where one "
            "holds 0, there is no saying which lies above."
        )
    said = [
        f"at {name} {label} {interval}"
        for name, values in readings.items()
        for label, interval in list(values.items())[:_MOST_SAID]
    ]
    return [
        Picture(
            intervals(readings, label=f"log p(x) above {first}, nats per datum", looks=looks),
            caption=f"Differences to {first}, paired by seed and row. {claim}",
            alt=f"Intervals of the differences to {first}: {'; '.join(said)}.",
        )
    ]


def while_training(own: xr.Dataset, looks: Looks) -> list[Picture]:
    """The held-out curves against steps and against seconds."""
    labels = _labels(own)
    means = own["curve"].mean("valid_row", skipna=False)
    values = {n: means.sel(estimator=n).values for n in labels}
    values = {n: each for n, each in values.items() if np.isfinite(each).any()}
    best = max(values, key=lambda n: float(np.nanmax(values[n].mean(0))), default="none")
    shown = {"step": "steps", "seconds": "seconds of training, without evaluation"}
    return [
        Picture(
            curves_by(
                {name: own[clock].sel(estimator=name).values for name in values},
                values,
                in_seconds=clock == "seconds",
                label="held-out log p(x), nats per datum",
                looks=looks,
            ),
            caption=f"Held-out log p(x) against {words}: validation rows, "
            f"{own.attrs['curve_particles']:,} draws, mean over seeds. Higher is better.",
            alt=f"Curves of held-out log p(x) against {words}; the highest is that of {best}.",
        )
        for clock, words in shown.items()
        if values
    ]


def by_parts(own: xr.Dataset, looks: Looks) -> list[Picture]:
    """The sum that log p(x) is: the bound and what it lacks, where it is known exactly."""
    if "log_evidence_exact" not in own:
        return []
    elbo, exact = (_means(own, name) for name in ("elbo", "log_evidence_exact"))
    known = [name for name in elbo if np.isfinite(elbo[name] + exact[name])]
    if not known:
        return []
    gap = {name: exact[name] - elbo[name] for name in known}
    parts = {"ELBO": {name: elbo[name] for name in known}, "KL(q(z|x) || p(z|x))": gap}
    least = min(known, key=lambda name: gap[name])
    return [
        Picture(
            sums(parts, label="log p(x), nats per datum", looks=looks),
            caption="log p(x) = ELBO + KL(q(z|x) || p(z|x)), mean over test rows and seeds, both "
            "exact up to the draws of the ELBO. Each bar is of the model that this estimator "
            "trained; bars do not begin at 0.",
            alt=f"Stacked bars of ELBO and KL; the least KL, {gap[least]:.2f}, is that of {least}.",
        )
    ]


def by_draws(own: xr.Dataset, looks: Looks) -> list[Picture]:
    """Each family's own bound against its number of draws."""
    families: dict[str, list[str]] = {}
    for label in _labels(own):
        stem, plus, gradient = label.partition("+")
        families.setdefault(f"{_DRAWS.sub('', stem)}{plus}{gradient}", []).append(label)
    lines, look = {}, {}
    for family, labels in families.items():
        draws = own["draws"].sel(estimator=labels).values.astype(float)
        bounds = own["own_bound"].sel(estimator=labels).values
        known = np.isfinite(bounds).all(1)
        if len(set(draws[known])) > 1:
            order = np.flatnonzero(known)[np.argsort(draws[known])]
            bound = bounds[order]
            ends = (bound.mean(1), bound.min(1), bound.max(1))
            lines[family], look[family] = ByDraws(draws[order], *ends), looks[labels[0]]
    if not lines:
        return []
    rises = [
        f"{name} from {line.value[0]:.2f} to {line.value[-1]:.2f}" for name, line in lines.items()
    ]
    return [
        Picture(
            against_draws(lines, label="own bound of test rows, nats per datum", looks=look),
            caption="What each kind of estimator optimises, against its number of draws K: mean "
            "over seeds, bars from the least to the greatest. Every point is another model.",
            alt=f"Own bounds against draws: {'; '.join(rises)}.",
        )
    ]


def by_coordinate(own: xr.Dataset, looks: Looks) -> list[Picture]:
    """Where the weights can be trusted, and which coordinates of the code are used."""
    return [*_khat(own, looks), *_heat(own)]


def sample_pictures(samples: Mapping[str, xr.Dataset]) -> list[Picture]:
    """A square of images from each model, all in the same shades."""
    pictures: list[Picture] = []
    if not samples:
        return pictures
    ends = [shades(drawn["x_mean"].values) for drawn in samples.values()]
    limits = min(low for low, _ in ends), max(high for _, high in ends)
    for name, drawn in samples.items():
        x = drawn["x_mean"].values
        side = math.isqrt(len(x))
        figure, (axes,) = new_figure(1, 1, size=(1.9, 1.9))
        squares = x[: side * side].reshape(side, side, -1)
        draw_mosaic(axes, squares, drawn.attrs["image_shape"], limits=limits)
        alt = f"{side * side} images from the model trained by {name}."
        pictures.append(Picture(figure, caption=name, alt=alt, in_pixels=True))
    return pictures


_MOST_SAID = 8


def _khat(own: xr.Dataset, looks: Looks) -> list[Picture]:
    if "khat" not in own or own.attrs["num_particles"] < LEAST_DRAWS:
        return []
    values = {name: own["khat"].sel(estimator=name).values.ravel() for name in _labels(own)}
    values = {name: each for name, each in values.items() if not np.isnan(each).all()}
    if not values:
        return []
    threshold = khat_threshold(int(own.attrs["num_particles"]))
    above = {n: float((each[~np.isnan(each)] > threshold).mean()) for n, each in values.items()}
    worst = max(above, key=lambda name: above[name])
    return [
        Picture(
            histograms(
                values, threshold=threshold, label="Pareto k-hat of a test row", looks=looks
            ),
            caption=f"Pareto k-hat of the {own.attrs['num_particles']:,} weights of each test row, "
            "all seeds. Right of the line the estimate of log p(x) is unreliable in that row; "
            "its share is written beside.",
            alt=f"Histograms of k-hat; most rows above {threshold:.2f} has {worst}, "
            f"{above[worst]:.0%}.",
        )
    ]


def _heat(own: xr.Dataset) -> list[Picture]:
    if "kl_by_dim" not in own:
        return []
    # Coordinates have no order of their own, and another one for each seed.
    falling = -np.sort(-own["kl_by_dim"].values, axis=-1)
    values = dict(zip(_labels(own), falling.mean(own["kl_by_dim"].dims.index("seed")), strict=True))
    values = {name: each for name, each in values.items() if np.isfinite(each).any()}
    if not values:
        return []
    first = {name: float(np.nanmax(each)) for name, each in values.items()}
    most = max(first, key=lambda name: first[name])
    return [
        Picture(
            heat(
                values, label="KL(q(z|x) || p(z)), nats per datum", columns="coordinate, by its KL"
            ),
            caption="KL by coordinate of the code, the largest first, mean over test rows and "
            "seeds. White coordinates are hardly used.",
            alt=f"Shades of KL by coordinate; the largest, {first[most]:.2f}, is one of {most}.",
        )
    ]


def _labels(own: xr.Dataset) -> list[str]:
    return [str(name) for name in own["estimator"].values]


def _interval(own: xr.Dataset, label: str, column: str) -> Interval:
    line = own["summary"].sel(estimator=label)
    ends = (float(line.sel(statistic=f"{column}{end}")) for end in ("", "_low", "_high"))
    return Interval(*ends)


def _known(values: Mapping[str, Interval]) -> dict[str, Interval]:
    return {name: each for name, each in values.items() if np.isfinite(each.value)}


def _means(own: xr.Dataset, name: str) -> dict[str, float]:
    summary = own["summary"].sel(statistic=name)
    return {label: float(summary.sel(estimator=label)) for label in _labels(own)}
