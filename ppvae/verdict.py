"""What a comparison of estimators shows, in plain words that claim no more than the intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ppvae.intervals import Interval, decimal

__all__ = ["Outcome", "unconverged", "verdict"]

_UNKNOWN = Interval(math.nan, math.nan, math.nan)
_ZERO = Interval(0.0, 0.0, 0.0)
_READINGS = ("steps", "seconds")


@dataclass(frozen=True)
class Outcome:
    """What one estimator reached, in nats per datum.

    Args:
        name: of the estimator.
        rising: how much it rose in the last tenth of its run, negative where it fell; NaN where
            it has no finite result.
        steps: its difference to the first estimator after equal steps, with an interval.
        seconds: the same after equal seconds of training.
    """

    name: str
    rising: float
    steps: Interval = _UNKNOWN
    seconds: Interval = _UNKNOWN

    def at(self, reading: str) -> Interval:
        """The difference to the first at "steps" or at "seconds"."""
        return self.steps if reading == "steps" else self.seconds


def verdict(outcomes: Sequence[Outcome]) -> str:
    """Which estimators lie above the first or below, which are not separable or not converged.

    One lies above another only where their intervals do not meet and neither moved, in the last
    tenth of its run, by more than the gap between these intervals. A single claim then has the
    confidence of the intervals, and all of them together have it if the intervals hold together,
    as Bonferroni's do.

    Args:
        outcomes: at least one; the others are compared with the first.

    Returns:
        A few sentences.
    """
    first, others = outcomes[0], outcomes[1:]
    if not others:
        return f"{first.name} alone: there is nothing to compare it with."
    if math.isnan(first.rising):
        return f"No ranking: {first.name}, which all are compared with, has no finite result."
    first = Outcome(first.name, first.rising, _ZERO, _ZERO)
    failed = [each for each in others if math.isnan(each.rising)]
    single = [each for each in others if each not in failed and not _is_known(each.steps)]
    known = [each for each in others if each not in failed and each not in single]
    sentences = []
    if known:
        sentences += [_reading(first, known, name, alone=not single) for name in _READINGS]
        sentences += _turned([first, *known]) + _moving(outcomes)
    if single:
        sentences.append(
            f"No ranking of {_listed(single)}: one seed or one row alone gives no interval."
        )
    if failed:
        verb = "have" if len(failed) > 1 else "has"
        sentences.append(f"{_listed(failed)} {verb} no finite result.")
    return " ".join(sentences)


def unconverged(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How much those rose that still moved by more than the differences at stake, by name.

    At stake between an estimator and the first is the end of their interval that is nearer to
    zero, or, where it holds zero, the farther one; of the two readings the lesser counts. Both may
    be the one that moved.

    Args:
        outcomes: as for :func:`verdict`; without an interval nothing is known.
    """
    first, *others = outcomes
    movers: dict[str, float] = {}
    if math.isnan(first.rising):
        return movers
    for each in others:
        pair = {one.name: one.rising for one in (first, each)}
        for name in _READINGS:
            _, low, high = each.at(name)
            separable = low > 0 or high < 0
            stake = min(abs(low), abs(high)) if separable else max(abs(low), abs(high))
            if stake > 0:
                movers |= {one: rise for one, rise in pair.items() if abs(rise) > stake}
    return movers


def _reading(first: Outcome, others: Sequence[Outcome], name: str, alone: bool) -> str:
    """How the others lie to the first at equal steps or at equal seconds."""
    known = [each for each in others if _is_known(each.at(name))]
    ranked = sorted(known, key=lambda each: -each.at(name).value)
    above = [each for each in ranked if _is_above(each, first, name)]
    below = [each for each in ranked if _is_above(first, each, name)]
    equal = [each for each in ranked if max(_gap(each, first, name), _gap(first, each, name)) <= 0]
    rest = [each for each in ranked if each not in above + below + equal]
    parts = [_differences(above, first, name, "above"), _differences(below, first, name, "below")]
    everything = [first, *known]
    if alone and len(everything) > 2 and len(known) == len(others):
        parts += [
            f"{a.name} lies above all others" for a in everything if _leads(a, everything, name)
        ]
    if equal and len(equal) == len(others) > 1:
        parts.append(f"none is separable from {first.name}")
    elif equal:
        parts.append(f"{_listed(equal)} {_are(equal)} not separable from {first.name}")
    if rest:
        parts.append(f"{_listed(rest)} {_are(rest)} not ranked, as the runs are not converged")
    if len(known) < len(others):
        missing = [each for each in others if each not in known]
        parts.append(f"{_listed(missing)} {_are(missing)} not known")
    unit = ", in nats per datum," if above or below else ""
    return f"At equal {name}{unit} {'; '.join(filter(None, parts))}."


def _turned(outcomes: Sequence[Outcome]) -> list[str]:
    """The pairs that lie one way at equal steps and the other way at equal seconds."""
    turns = []
    for upper in outcomes:
        lower = [
            each
            for each in outcomes
            if _is_above(upper, each, "steps") and _is_above(each, upper, "seconds")
        ]
        if lower:
            turns.append(
                f"The ranking turns: {upper.name} lies above {_listed(lower)} at equal steps "
                "and below at equal seconds."
            )
    return turns


def _moving(outcomes: Sequence[Outcome]) -> list[str]:
    movers = unconverged(outcomes)
    if not movers:
        return []
    moves = [
        f"{name} {'rose' if rise > 0 else 'fell'} by {decimal(abs(rise), rise)}"
        for name, rise in movers.items()
    ]
    return [
        f"Not converged: in the last tenth of its run {_joined(moves)} nats, "
        "more than the differences at stake; train longer."
    ]


def _differences(outcomes: Sequence[Outcome], first: Outcome, name: str, side: str) -> str:
    if not outcomes:
        return ""
    verb = "lie" if len(outcomes) > 1 else "lies"
    parts = [f"{each.name} ({each.at(name)})" for each in outcomes]
    return f"{_joined(parts)} {verb} {side} {first.name}"


def _gap(upper: Outcome, lower: Outcome, name: str) -> float:
    """How far the interval of one lies above that of another."""
    return upper.at(name).low - lower.at(name).high


def _is_above(upper: Outcome, lower: Outcome, name: str) -> bool:
    gap = _gap(upper, lower, name)
    return gap > 0 and max(abs(upper.rising), abs(lower.rising)) <= gap


def _leads(upper: Outcome, outcomes: Sequence[Outcome], name: str) -> bool:
    return all(_is_above(upper, each, name) for each in outcomes if each is not upper)


def _is_known(interval: Interval) -> bool:
    return not any(map(math.isnan, interval))


def _listed(outcomes: Sequence[Outcome]) -> str:
    return _joined([each.name for each in outcomes])


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _are(outcomes: Sequence[Outcome]) -> str:
    return "are" if len(outcomes) > 1 else "is"
