"""Thresholds, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from inference.calibration import area_under_roc, calibrate, roc
from inference.errors import InvalidInput

# Few levels, so that ties happen.
labelled = st.lists(
    st.tuples(st.integers(-4, 10).map(lambda tenths: tenths / 10), st.booleans()), min_size=2
).filter(lambda pairs: len({label for _, label in pairs}) == 2)


@given(labelled)
def test_no_threshold_is_better(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    found = calibrate(scores, positive)
    reached = balanced_accuracy_score(positive, scores >= found.threshold)
    best = max(balanced_accuracy_score(positive, scores >= level) for level in scores)
    assert found.balanced_accuracy == pytest.approx(reached)
    assert reached == pytest.approx(max(best, 0.5))
    assert (found.positives, found.negatives) == (positive.sum(), (~positive).sum())


@given(labelled)
def test_area_and_curve_are_those_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    assert area_under_roc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    false_alarms, hits, _ = roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(roc(scores, positive), (false_alarms, hits))


def test_threshold_stands_between_the_classes() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.9])
    found = calibrate(scores, scores > 0.5)
    assert found.threshold == pytest.approx(0.55)
    assert found.balanced_accuracy == found.auc == 1.0


@pytest.mark.parametrize("positive", [True, False])
def test_one_class_alone_is_refused(positive: bool) -> None:
    with pytest.raises(InvalidInput, match="both kinds"):
        calibrate(np.array([0.1, 0.9]), np.array([positive, positive]))
