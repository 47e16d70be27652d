from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from neurofer.errors import NeuroferError
from neurofer.training.tasks.targets import Affect, Category, Distribution, Labels, concordance

TABLE = pd.DataFrame(
    {
        "stimulus_id": ["a", "b", "c", "d"],
        "head": ["human", "human", "monkey", "monkey"],
        "identity": ["1", "2", "1", "1"],
        "expression": ["neutral", "sad", "happy", "sad"],
        "valence": [0.1, -0.5, 0.9, -1.0],
        "arousal": [0.0, 0.2, 0.5, 0.9],
        "votes_happy": [0, 1, 8, 2],
        "votes_sad": [2, 3, 2, 6],
        "label_joy": [0, 0, 1, 0],
        "label_tears": [1, 1, 0, 1],
    }
)


def test_expressions_are_numbered_in_canonical_order() -> None:
    target = Category(kind="category")
    names = target.names(TABLE)
    assert names == ("neutral", "happy", "sad")
    values = target.values(TABLE, names)
    assert values.tolist() == [0, 2, 1, 2]
    outputs = torch.tensor([[3.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]])
    expected = accuracy_score(values, outputs.argmax(1))
    assert target.scores(outputs, values) == {"accuracy": pytest.approx(100 * expected)}
    with pytest.raises(NeuroferError, match=r"expression='sad'.*neutral, happy"):
        target.values(TABLE, ("neutral", "happy"))


def test_an_identity_belongs_to_a_head() -> None:
    target = Category(kind="category", column="identity")
    names = target.names(TABLE)
    assert names == ("human/1", "human/2", "monkey/1")
    assert target.values(TABLE, names).tolist() == [0, 1, 2, 2]
    with pytest.raises(NeuroferError, match=r"column='nose'"):
        Category(kind="category", column="nose").names(TABLE)


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    target = Category(kind="category", balanced=True)
    values = torch.tensor([0, 0, 0, 1])
    weights = target.weights(values, 2)
    assert weights is not None
    assert weights[values].mean() == pytest.approx(1)
    assert 3 * weights[0] == pytest.approx(weights[1])
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.0]])
    logs = outputs.log_softmax(1)[range(4), values]
    expected = -(logs * weights[values]).mean()
    torch.testing.assert_close(target.loss(outputs, values, weights), expected)
    assert Category(kind="category").weights(values, 2) is None


def test_distributions_are_shares_of_the_votes() -> None:
    target = Distribution(kind="distribution")
    names = target.names(TABLE)
    values = target.values(TABLE, names)
    torch.testing.assert_close(values[2], torch.tensor([0.8, 0.2]))
    outputs = values.clamp(min=1e-9).log()  # answers that are the distribution itself
    entropy = -(values * outputs).sum(1).mean()
    torch.testing.assert_close(target.loss(outputs, values), entropy)
    scores = target.scores(outputs, values)
    assert scores["accuracy"] == 100
    assert scores["minus_divergence"] == pytest.approx(0, abs=1e-6)
    assert target.classes(values).tolist() == [1, 1, 0, 1]
    silent = TABLE.assign(votes_happy=[0, 0, 1, 1], votes_sad=[1, 0, 1, 1])
    with pytest.raises(NeuroferError, match="stimulus 'b' has no votes"):
        target.values(silent, names)


def test_concordance_has_its_closed_form() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 50, 2))
    expected = [
        2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
        for a, b in zip(x.T, y.T, strict=True)
    ]
    found = concordance(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(concordance(torch.tensor(x), torch.tensor(x)).numpy(), 1)
    np.testing.assert_allclose(
        concordance(torch.tensor(-x), torch.tensor(x)).numpy(),
        [(-a.var() + 0) * 2 / (2 * a.var() + 4 * a.mean() ** 2) for a in x.T],
    )


@pytest.mark.parametrize("error", ["mse", "ccc"])
def test_affect_is_learned_through_tanh(error: str) -> None:
    target = Affect.model_validate({"kind": "affect", "error": error})
    values = target.values(TABLE, target.names(TABLE))
    right = torch.atanh(values.clamp(-0.999999, 0.999999))
    assert target.loss(right, values) == pytest.approx(0, abs=1e-5)
    assert target.loss(-right, values) > 0.1
    assert target.scores(right, values)["ccc"] == pytest.approx(1, abs=1e-4)
    assert target.classes(values).tolist() == [4, 1, 8, 2]
    with pytest.raises(NeuroferError, match=r"stimulus 'b' .*outside -1 to 1 or unknown"):
        target.values(TABLE.assign(valence=[0, -2, 0, 0]), target.names(TABLE))
    with pytest.raises(NeuroferError, match="stimulus 'c'"):
        target.values(TABLE.assign(arousal=[0, 0, np.nan, 0]), target.names(TABLE))


def test_labels_are_scored_by_f1() -> None:
    target = Labels(kind="labels")
    names = target.names(TABLE)
    assert names == ("label_joy", "label_tears")
    values = target.values(TABLE, names)
    outputs = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    expected = f1_score(values.numpy(), (outputs > 0).numpy(), average="macro")
    assert target.scores(outputs, values)["f1"] == pytest.approx(100 * expected)
    assert target.classes(values)[0] == target.classes(values)[1] != target.classes(values)[2]


def clips() -> tuple[torch.Tensor, torch.Tensor, pd.DataFrame]:
    """Frames of four clips, of 1 to 4 frames, with two labels."""
    session = np.repeat(["a", "b", "c", "d"], [1, 2, 3, 4])
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(10, 2, generator=random) * 3
    labels = torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 0]])
    values = labels[[0, 1, 1, 2, 2, 2, 3, 3, 3, 3]]
    return outputs, values, pd.DataFrame({"session": session})


def test_f1_is_over_clips_whose_frames_are_averaged() -> None:
    outputs, values, table = clips()
    target = Labels(kind="labels", clips="session")
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))  # frames lie anywhere
    pooled = target.pooled(outputs[order], values[order], table.iloc[order.numpy()])
    probabilities = torch.stack(
        [outputs[table["session"].to_numpy() == name].sigmoid().mean(0) for name in "abcd"]
    )
    torch.testing.assert_close(pooled[0].sigmoid().float(), probabilities)
    expected = f1_score(
        [[1, 0], [0, 1], [1, 1], [0, 0]], (probabilities > 0.5).int().numpy(), average="macro"
    )
    assert target.scores(*pooled)["f1"] == pytest.approx(100 * expected)
    frames = Labels(kind="labels")
    assert frames.scores(*frames.pooled(outputs, values, table)) != target.scores(*pooled)


def test_clips_whose_frames_differ_and_columns_that_are_absent_are_named() -> None:
    outputs, values, table = clips()
    values = values.clone()
    values[-1, 0] = 1
    with pytest.raises(NeuroferError, match="the frames of session 'd' have different labels"):
        Labels(kind="labels", clips="session").pooled(outputs, values, table)
    with pytest.raises(NeuroferError, match="clips='clip' is not in the stimuli"):
        Labels(kind="labels", clips="clip").pooled(outputs, values, table)


def test_stimuli_are_alike_where_all_their_labels_are() -> None:
    values = torch.tensor([[1.0, 0], [0, 1], [1, 0], [1, 1], [0, 1]])
    numbers = Labels(kind="labels").classes(values)
    same = (values[:, None] == values[None]).all(2)
    assert torch.equal(numbers[:, None] == numbers[None], same)
