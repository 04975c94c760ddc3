"""Labels that make no training are refused, or remarked, before one begins."""

import pytest
import torch
from labelled_pairs import CLASSES, cvae, m2
from programs import binary_vae
from trainings import quiet

from ppvae import ELBO, Experiment, SemiSupervised, evaluate, log_terms
from ppvae.check import check
from ppvae.data import from_arrays, keep_labels

P = 6


def data(y, where=None, label=0):
    """Sixty rows; ``where`` is the number of the training row that has another label."""
    x = torch.rand(60, P, generator=torch.Generator().manual_seed(0)).round()
    made = from_arrays({"x": x, "y": y})
    if where is not None:
        made.train["y"][where] = label
    return made


CLASS = torch.arange(60) % CLASSES


@pytest.mark.parametrize("where", [0, 40])
@pytest.mark.parametrize("pair", [m2, cvae])
def test_a_label_out_of_range_in_any_row_is_refused(pair, where):
    message = "y must be a label from 0 to 2, .*; got 3"
    with pytest.raises(ValueError, match=message):
        quiet(pair(P), data(CLASS, where, 3), epochs=1)


def test_the_split_of_a_bad_label_is_named():
    made = data(CLASS)
    made.valid["y"][2] = 7
    with pytest.raises(ValueError, match=r"y must be a label .*; got 7 in the valid rows"):
        quiet(m2(P), made, epochs=1)


def test_a_missing_label_of_a_conditional_model_is_refused():
    with pytest.raises(ValueError, match="y must be a label from 0 to 2, in every row; got -1"):
        quiet(cvae(P), data(CLASS, 40, -1), epochs=1)
    with pytest.raises(ValueError, match="must ask for fields that the batch has"):
        quiet(cvae(P), torch.rand(60, P).round(), epochs=1)


@pytest.mark.parametrize(
    "made", [lambda: data(torch.full((60,), -1)), lambda: torch.rand(60, P).round()]
)
def test_all_labels_missing_is_refused_where_labels_are_followed(made):
    message = "SemiSupervised must have labelled training rows .*; got 0 such rows"
    with pytest.raises(ValueError, match=message):
        quiet(m2(P), made(), estimator=SemiSupervised(), epochs=1)


def test_a_pair_that_takes_no_labels_is_refused_where_labels_are_followed():
    message = r"SemiSupervised must have .*; got 48 such rows and programs that take .*'x'"
    with pytest.raises(ValueError, match=message):
        quiet(binary_vae(), data(CLASS), estimator=SemiSupervised(), epochs=1)


def test_all_labels_missing_is_allowed_where_they_are_only_summed_out():
    quiet(m2(P), data(torch.full((60,), -1)), estimator=ELBO(), epochs=1)


def test_a_class_without_a_label_is_remarked_once():
    made = data(torch.where(CLASS == 1, -1, CLASS))
    with pytest.warns(UserWarning, match=r"classes without a .*; got \[1\], 1 of 3") as found:
        quiet(m2(P), made, estimator=SemiSupervised(), epochs=2)
    assert len([each for each in found if "classes without" in str(each.message)]) == 1


def test_each_class_with_a_label_is_not_remarked():
    made = keep_labels(data(CLASS), 3)
    quiet(Experiment(*m2(P), SemiSupervised()), made, epochs=1)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (torch.tensor([0, 3]), ValueError, "y must be a label from 0 to 2, or -1 .*; got 3"),
        (torch.tensor([0]), ValueError, r"y must hold one label a row, \(2,\); got shape \(1,\)"),
        (torch.tensor([0.0, 1.0]), TypeError, "y must hold whole numbers"),
    ],
)
def test_bad_labels_are_refused_wherever_terms_are_asked_for(y, error, message):
    with pytest.raises(error, match=message):
        log_terms(*m2(P), {"x": torch.zeros(2, P), "y": y})


def test_a_pair_with_labelled_rows_passes_the_check():
    x = torch.rand(8, P).round()
    report = check(*m2(P), {"x": x, "y": torch.tensor([0, 1, 2, -1, -1, 0, 1, 2])})
    assert not report.problems and not report.remarks


def test_the_evidence_of_a_labelled_row_is_that_of_data_and_label():
    """log p(x) = log sum_y p(x, y), each estimated from the same draws."""
    pair, x = m2(P), torch.rand(5, P).round()
    free = evaluate(pair, x, num_particles=50)["log_evidence"].values
    by_label = [
        evaluate(pair, {"x": x, "y": torch.full((5,), label)}, num_particles=50)
        for label in range(CLASSES)
    ]
    values = torch.stack([torch.from_numpy(each["log_evidence"].values) for each in by_label])
    torch.testing.assert_close(values.logsumexp(0).numpy(), free, rtol=0, atol=1e-6)
    assert "labels" in by_label[0].attrs["note"]
