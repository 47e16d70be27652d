from __future__ import annotations

import warnings

import numpy as np
from skimage.feature import local_binary_pattern
from sklearn.svm import SVC

from neurofer.recording import record
from neurofer.stimuli import load_stimuli, protocol
from neurofer.subjects import load_subject
from neurofer.subjects.lbp import BINS, GRID, pattern_histograms, uniform_patterns


def scikit_patterns(image: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises integers, which have ties
        return local_binary_pattern(image, 8, 1, method="nri_uniform")


def test_patterns_are_scikit_images_where_no_two_pixels_are_equal():
    image = np.random.default_rng(0).uniform(0, 255, (90, 70))
    np.testing.assert_array_equal(uniform_patterns(image), scikit_patterns(image))


def test_patterns_of_whole_gray_values_differ_from_scikit_images_only_at_ties():
    # A neighbour on the diagonal that equals its pixel is interpolated from equal values, and
    # scikit-image then compares two roundings of one number.
    image = np.random.default_rng(1).integers(0, 256, (90, 70)).astype(float)
    differs = uniform_patterns(image) != scikit_patterns(image)
    nudged = image + np.random.default_rng(2).uniform(0, 1e-4, image.shape)
    assert differs.mean() < 0.01
    assert (uniform_patterns(nudged) == scikit_patterns(nudged)).all()


def test_flat_regions_have_one_pattern():
    for value in (0, 1, 7, 90, 213, 255):
        inner = uniform_patterns(np.full((30, 40), value))[1:-1, 1:-1]
        assert (inner == BINS - 2).all()  # every neighbour is as bright


def test_every_bin_is_used():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400))
    assert sorted(set(uniform_patterns(noise).ravel())) == list(range(BINS))


def test_histograms_by_a_plain_loop():
    patterns = np.random.default_rng(0).integers(0, BINS, (224, 224))
    found = pattern_histograms(patterns).reshape(GRID, GRID, BINS)
    for row in range(GRID):
        for column in range(GRID):
            cell = patterns[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
            expected = [(cell == k).mean() for k in range(BINS)]
            np.testing.assert_allclose(found[row, column], expected)


def test_the_paper_s_rival_is_one_call_and_calls_every_face_neutral():
    bfs = load_stimuli("bfs")
    nine = protocol(bfs, "nine")
    subject = load_subject("lbp", training=nine, readout="svm", svm_standardise=False)
    shown = bfs.select(split="test").take(range(0, 96, 4))
    decision = record(subject, shown)
    answers = decision["unit"].values[decision.values.argmax(axis=1)]
    features = [record(subject, stimuli, sites=["lbp"]).values for stimuli in (nine, shown)]
    plain = SVC(kernel="linear").fit(features[0], nine.table["expression"])
    assert (answers == plain.predict(features[1])).all()
    assert set(answers) == {"neutral"}  # Table 2 has 14.3 %, which is one in seven
