from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurofer.errors import NeuroferError
from neurofer.stimuli.images import ahead, check_image, image_sha256, read_image, write_image


def test_png_keeps_pixels(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_other_modes_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (4, 5, 3)


def broken(path: Path, how: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(path, image)
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:3000], "empty": b"", "text": b"<html>404</html>"}[how])


@pytest.mark.parametrize("how", ["truncated", "empty", "text"])
def test_a_bad_file_is_named_with_its_stimulus(tmp_path: Path, how: str) -> None:
    broken(tmp_path / "face.png", how)
    with pytest.raises(NeuroferError, match=r"'monkey-7'.*face\.png.*copy it again"):
        read_image(tmp_path / "face.png", "monkey-7")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(NeuroferError, match=r"'x' is missing: nowhere\.png"):
        read_image("nowhere.png", "x")


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_only_rgb_bytes_are_images(image: np.ndarray) -> None:
    with pytest.raises(NeuroferError, match=r"'a'.*uint8"):
        check_image(image, "a")


def test_the_hash_sees_pixels_and_shape() -> None:
    image = np.zeros((4, 2, 3), np.uint8)
    assert image_sha256(image) == image_sha256(image.copy())
    assert image_sha256(image) != image_sha256(image.reshape(2, 4, 3))
    assert image_sha256(image) != image_sha256(image + 1)
    assert len(image_sha256(image)) == 64


def test_ahead_keeps_order_whatever_finishes_first() -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i == 0 else 0)
        return i

    assert list(ahead(slow_first, range(50), window=8)) == list(range(50))


def test_ahead_never_runs_further_than_its_window() -> None:
    started: list[int] = []
    results = ahead(lambda i: started.append(i) or i, range(100), window=5)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(started) <= 5
    results.close()


def test_ahead_raises_at_the_item_that_fails() -> None:
    def fail_at_three(i: int) -> int:
        if i == 3:
            raise NeuroferError("three")
        return i

    results = ahead(fail_at_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NeuroferError, match="three"):
        next(results)
