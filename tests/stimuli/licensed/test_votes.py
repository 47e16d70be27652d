"""The rules of FER+: cases worked out by hand from the published rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer.stimuli.licensed.votes import RULES, targets

# neutral, happy, surprise, sad | unknown, no face
CASES = [
    # ten for one
    ([0, 10, 0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]),
    # the single vote is dropped first: 5 of 9 are more than half
    ([5, 0, 4, 1, 0, 0], [1, 0, 0, 0], [5 / 9, 0, 4 / 9, 0], [5 / 9, 0, 4 / 9, 0]),
    # level: no majority
    ([5, 5, 0, 0, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]),
    # "unknown" leads: no target
    ([3, 0, 0, 0, 7, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    # "unknown" behind: it ends the gathering, six of ten are kept; 30 % keeps both
    ([6, 0, 0, 0, 4, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]),
    # four level expressions are too many to share, and none has 30 %
    ([2, 2, 2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    # 5 + 3 of 10 are three quarters: the 2 are left out
    ([5, 3, 2, 0, 0, 0], [0, 0, 0, 0], [5 / 8, 3 / 8, 0, 0], [5 / 8, 3 / 8, 0, 0]),
    # only single votes: nobody agrees
    ([1, 1, 1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rule", RULES)
def test_rules(case: tuple[list[float], ...], rule: str) -> None:
    votes, expected = np.array([case[0]]), case[1 + RULES.index(rule)]
    np.testing.assert_allclose(targets(votes, 4, rule)[0], expected, atol=1e-12)


@given(st.lists(st.integers(0, 10), min_size=6, max_size=6), st.sampled_from(RULES))
def test_a_target_is_a_distribution_over_voted_expressions(votes: list[int], rule: str) -> None:
    target = targets(np.array([votes]), 4, rule)[0]
    assert target.sum() == pytest.approx(1) or not target.any()
    assert ((target > 0) <= (np.array(votes[:4]) > 1)).all()
    if target.any():  # the strongest label is an expression, and it leads the target
        assert votes[int(target.argmax())] == max(votes[:4])
