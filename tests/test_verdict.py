"""The verdict on made-up results, one law a test."""

import math

import pytest

from ppvae.intervals import Interval
from ppvae.verdict import Outcome, unconverged, verdict

UNKNOWN = Interval(math.nan, math.nan, math.nan)


def around(value: float, half: float = 0.1) -> Interval:
    return Interval(value, value - half, value + half)


def outcome(name: str, steps: Interval, seconds: Interval | None = None, rising: float = 0.01):
    return Outcome(name, rising, steps, steps if seconds is None else seconds)


FIRST = Outcome("first", 0.01)


def test_an_interval_above_zero_is_called_above():
    words = verdict([FIRST, outcome("other", around(0.5))])
    assert "other (+0.50 [+0.40, +0.60]) lies above first" in words


def test_an_interval_below_zero_is_called_below():
    words = verdict([FIRST, outcome("other", around(-0.5))])
    assert "other (-0.50 [-0.60, -0.40]) lies below first" in words


def test_an_interval_that_holds_zero_is_not_separable():
    words = verdict([FIRST, outcome("other", around(0.05))])
    assert "other is not separable from first" in words
    assert "lies" not in words


@pytest.mark.parametrize("ends", [(0.0, 0.2), (-0.2, 0.0), (0.0, 0.0)])
def test_an_interval_that_only_touches_zero_is_not_separable(ends):
    still = Outcome("first", 0.0)
    words = verdict([still, outcome("other", Interval(sum(ends) / 2, *ends), rising=0.0)])
    assert "other is not separable from first" in words
    assert "lies" not in words


def test_all_that_hold_zero_are_named_together():
    words = verdict([FIRST, outcome("a", around(0.05)), outcome("b", around(0.0))])
    assert "At equal steps none is separable from first." in words


def test_a_run_that_rises_by_more_than_the_gap_is_not_ranked():
    words = verdict([FIRST, outcome("other", around(0.5), rising=0.45)])
    assert "other is not ranked, as the runs are not converged" in words
    assert "Not converged: in the last tenth of its run other rose by 0.45 nats" in words
    assert "lies" not in words


def test_a_first_estimator_that_rises_by_more_than_the_gap_leaves_nothing_ranked():
    words = verdict([Outcome("first", 0.45), outcome("other", around(0.5))])
    assert "other is not ranked" in words
    assert "first rose by 0.45 nats" in words
    assert "lies" not in words


def test_a_run_that_falls_by_more_than_the_gap_is_not_ranked():
    words = verdict([FIRST, outcome("other", around(0.5), rising=-0.45)])
    assert "other fell by 0.45 nats" in words
    assert "lies" not in words


def test_a_rise_within_the_gap_keeps_the_ranking():
    words = verdict([FIRST, outcome("other", around(0.5), rising=0.35)])
    assert "lies above first" in words
    assert "converged" not in words


def test_what_is_not_separable_and_still_rises_is_called_not_converged_too():
    words = verdict([FIRST, outcome("other", around(0.05), rising=0.45)])
    assert "not separable" in words
    assert "Not converged: in the last tenth of its run other rose by 0.45 nats" in words


def test_an_exact_tie_is_not_called_unconverged():
    words = verdict([Outcome("first", 0.3), outcome("same", around(0.0, 0.0), rising=0.3)])
    assert "not separable" in words
    assert "converged" not in words


def test_a_ranking_that_turns_is_said_to_turn():
    words = verdict([FIRST, outcome("other", around(0.5), around(-0.5))])
    assert (
        "The ranking turns: other lies above first at equal steps and below at equal seconds."
        in words
    )


def test_a_ranking_between_two_others_turns_too():
    others = [outcome("a", around(0.9), around(0.3)), outcome("b", around(0.3), around(0.9))]
    assert (
        "The ranking turns: a lies above b at equal steps and below at equal seconds."
        in verdict([FIRST, *others])
    )


def test_a_ranking_that_is_only_lost_does_not_turn():
    words = verdict([FIRST, outcome("other", around(0.5), around(0.05))])
    assert "turns" not in words
    assert "At equal seconds other is not separable from first." in words


def test_a_ranking_of_runs_that_still_rise_does_not_turn():
    words = verdict([FIRST, outcome("other", around(0.5), around(-0.5), rising=0.45)])
    assert "turns" not in words


def test_one_that_clears_the_intervals_of_all_others_leads():
    others = [outcome("a", around(0.9)), outcome("b", around(0.3))]
    assert "a lies above all others" in verdict([FIRST, *others])


def test_the_first_leads_where_all_others_lie_below():
    others = [outcome("a", around(-0.9)), outcome("b", around(-0.3))]
    assert "first lies above all others" in verdict([FIRST, *others])


def test_none_leads_where_the_intervals_of_the_two_best_meet():
    others = [outcome("a", around(0.9, 0.4)), outcome("b", around(0.6, 0.4))]
    assert "all others" not in verdict([FIRST, *others])


def test_one_estimator_alone_is_not_compared():
    assert verdict([FIRST]) == "first alone: there is nothing to compare it with."


def test_one_seed_gives_no_ranking():
    words = verdict([FIRST, outcome("other", Interval(5.0, math.nan, math.nan))])
    assert words == "No ranking of other: one seed or one row alone gives no interval."


def test_an_estimator_without_a_finite_result_is_named_and_the_rest_is_ranked():
    words = verdict([FIRST, Outcome("broken", math.nan), outcome("other", around(0.5))])
    assert "other (+0.50 [+0.40, +0.60]) lies above first" in words
    assert words.endswith("broken has no finite result.")
    assert "all others" not in words.replace("first", "")


def test_nothing_is_ranked_against_a_first_without_a_finite_result():
    words = verdict([Outcome("first", math.nan), outcome("other", UNKNOWN)])
    assert words == "No ranking: first, which all are compared with, has no finite result."


def test_an_estimator_without_a_reading_at_equal_seconds_is_not_ranked_there():
    words = verdict([FIRST, outcome("other", around(0.5), UNKNOWN)])
    assert "At equal seconds other is not known." in words
    assert "turns" not in words


def test_a_small_difference_is_told_with_as_many_digits_as_it_needs():
    words = verdict([Outcome("first", 0.0), outcome("other", around(0.005, 0.001), rising=0.0)])
    assert "other (+0.0050 [+0.0040, +0.0060]) lies above first" in words


@pytest.mark.parametrize(
    ("other", "sentences"),
    [
        (
            outcome("other", around(0.05)),
            "At equal steps other is not separable from first. "
            "At equal seconds other is not separable from first.",
        ),
        (
            outcome("other", around(0.5)),
            "At equal steps, in nats per datum, other (+0.50 [+0.40, +0.60]) lies above first. "
            "At equal seconds, in nats per datum, other (+0.50 [+0.40, +0.60]) lies above first.",
        ),
        (
            outcome("other", around(0.5), rising=0.45),
            "At equal steps other is not ranked, as the runs are not converged. "
            "At equal seconds other is not ranked, as the runs are not converged. "
            "Not converged: in the last tenth of its run other rose by 0.45 nats, more than the "
            "differences at stake; train longer.",
        ),
        (
            outcome("other", around(0.5), around(-0.5)),
            "At equal steps, in nats per datum, other (+0.50 [+0.40, +0.60]) lies above first. "
            "At equal seconds, in nats per datum, other (-0.50 [-0.60, -0.40]) lies below first. "
            "The ranking turns: other lies above first at equal steps and below at equal seconds.",
        ),
    ],
    ids=["overlap", "separated", "unconverged", "turns"],
)
def test_the_whole_verdict_on_two_estimators(other, sentences):
    assert verdict([FIRST, other]) == sentences


@pytest.mark.parametrize("rising", [0.35, 0.45, -0.45])
def test_unconverged_are_those_whose_verdict_says_so(rising):
    outcomes = [FIRST, outcome("other", around(0.5), rising=rising)]
    assert ("other" in unconverged(outcomes)) == ("Not converged" in verdict(outcomes))
    assert unconverged(outcomes).get("other", rising) == rising


def test_without_intervals_or_a_first_result_nobody_is_known_to_be_unconverged():
    alone = Outcome("other", 9.0, Interval(5.0, math.nan, math.nan))
    assert unconverged([FIRST, alone]) == {}
    assert (
        unconverged([Outcome("first", math.nan), outcome("other", around(0.5), rising=9.0)]) == {}
    )
    assert unconverged([FIRST]) == {}
