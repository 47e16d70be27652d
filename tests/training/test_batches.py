from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.training.batches import batch_positions


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 3))
def test_an_epoch_shows_no_item_twice_and_leaves_out_less_than_a_batch(items, size, seed):
    size = min(size, items)
    steps = items // size
    for epoch in range(2):
        seen = [
            int(i)
            for step in range(epoch * steps, (epoch + 1) * steps)
            for i in batch_positions(items, size, seed, step)
        ]
        assert len(seen) == len(set(seen)) == steps * size > items - size


def test_epochs_and_seeds_differ_and_steps_repeat():
    first = batch_positions(100, 100, 0, 0).tolist()
    assert first == batch_positions(100, 100, 0, 0).tolist()
    assert first != batch_positions(100, 100, 0, 1).tolist()
    assert first != batch_positions(100, 100, 1, 0).tolist()
