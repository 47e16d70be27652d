from __future__ import annotations

import os
import struct
import threading
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, images
from neurofer.stimuli.images import (
    ALPHA_BACKGROUND,
    ahead,
    check_image,
    dim,
    image_sha256,
    read_image,
    write_image,
)


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


def ramp(top: int, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(0, top, 64, dtype=dtype).reshape(8, 8)


def test_exif_orientation_turns_the_image_upright(tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :8] = 250  # the corner at the top left
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png")
    assert upright.shape == (32, 16, 3)
    np.testing.assert_array_equal(upright, np.rot90(pixels, -1))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_spoil_a_sound_image(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 3), 77, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = ramp(255, np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_the_stated_grey(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :3] = (200, 200, 200, 255)
    image = Image.fromarray(pixels)
    if mode == "P":
        image = Image.fromarray((np.arange(6) < 3).astype(np.uint8).repeat(4).reshape(6, 4).T)
        image = image.convert("P")
        image.putpalette([9, 9, 9, 200, 200, 200])
        image.save(tmp_path / "a.png", transparency=0)
    else:
        image.convert(mode).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[:, :3], np.full((4, 3, 3), 200))
    np.testing.assert_array_equal(read[:, 3:], np.full((4, 3, 3), ALPHA_BACKGROUND))


def test_half_transparent_is_half_of_each(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (228, 28, 128, 128)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_image(tmp_path / "a.png")[0, 0], (178, 78, 128), atol=1)


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([250, 10, 20, 30, 240, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.gif")
    assert read_image(tmp_path / "a.gif").tolist() == [[[250, 10, 20], [30, 240, 60]]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg")[4, 4], (255, 0, 0), atol=4)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path, name: str) -> None:
    values = ramp(65535)
    Image.fromarray(values).save(tmp_path / name)
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / name), np.stack([expected] * 3, axis=2))


def test_sixteen_bits_of_colour_are_scaled(tmp_path: Path) -> None:
    colour = np.stack([ramp(65535), ramp(65535)[::-1], ramp(32768)], axis=2)
    (tmp_path / "a.png").write_bytes(png16(colour))
    read = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(read, colour / 257, atol=1)


def png16(pixels: np.ndarray) -> bytes:
    """Return (H, W, 3) uint16 as PNG, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return signature + body


def test_values_without_a_known_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "a.tif")
    with pytest.raises(NeuroferError, match=r"refused.*a\.tif.*8 or 16 bits"):
        read_image(tmp_path / "a.tif", "x")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, mode: str) -> None:
    # A few kilobytes that would take 300 MB.
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 50_000
    tracemalloc.start()
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(NeuroferError, match=r"'x' is refused.*bomb\.png.*10000 x 10000 pixels"),
    ):
        read_image(tmp_path / "bomb.png", "x", mode=mode)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.png").touch()
    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(NeuroferError, match=r"'x' cannot be read: .*a\.png \(Permission denied\)"):
        read_image(tmp_path / "a.png", "x")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", ["EPS", "PCX", "SGI"])
def test_other_formats_are_not_opened_whatever_their_name(
    tmp_path: Path, kind: str, mode: str
) -> None:
    """Pillow would hand PostScript to Ghostscript."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a", format=kind)
    (tmp_path / "a").rename(tmp_path / "a.png")
    with pytest.raises(NeuroferError, match=r"'x' cannot be read: .*a\.png"):
        read_image(tmp_path / "a.png", "x", mode=mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_formats_that_are_opened(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (4, 4), (8, 16, 24)).save(tmp_path / "a", format=kind)
    assert read_image(tmp_path / "a").shape == (4, 4, 3)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(NeuroferError, match=r"'x' is refused: .*a\.png: it is a named pipe"):
        read_image(tmp_path / "a.png", "x", mode=mode)


@pytest.mark.parametrize(
    ("brightest", "colour", "suffix", "told"),
    [
        (4095, False, ".png", True),
        (4095, True, ".png", True),
        (1023, False, ".tif", True),
        (8191, False, ".png", True),
        (8400, False, ".png", False),
        (65535, False, ".tif", False),
        (4095, False, ".pgm", False),  # which states the largest value that there may be
    ],
)
def test_twelve_bits_in_a_file_of_sixteen_are_named(
    tmp_path: Path, brightest: int, colour: bool, suffix: str, told: bool
) -> None:
    path, values = tmp_path / f"a{suffix}", ramp(brightest)
    if colour:
        path.write_bytes(png16(np.stack([values] * 3, axis=2)))
    elif suffix == ".pgm":
        head = f"P5 {values.shape[1]} {values.shape[0]} {brightest}\n".encode()
        path.write_bytes(head + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    table = pd.DataFrame({"stimulus_id": ["x"]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        StimulusSet.from_files("cameras", table, [path])
    said = [str(one.message) for one in caught if "16 bits" in str(one.message)]
    assert len(said) == told
    assert not told or ("'cameras'" in said[0] and path.name in said[0])


def test_a_dark_picture_of_eight_bits_is_not_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((4, 4, 3), 9, np.uint8))
    assert dim(tmp_path / "a.png", read_image(tmp_path / "a.png")) == ""


def test_memory_stays_bounded_whatever_the_number_of_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((256, 256, 3), np.uint8))  # 192 kB unpacked
    os.utime(path, (1.6e9, 1.6e9))
    table = pd.DataFrame({"stimulus_id": [str(i) for i in range(300)]})
    stimuli = StimulusSet.from_files("many", table, [path] * 300)
    tracemalloc.start()
    assert sum(1 for _ in stimuli.images()) == 300
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 * 256 * 256 * 3  # the window of 32 and what the decoder holds, not 300


def test_images_are_decoded_in_several_threads_ahead_of_their_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    decoded = images.decode

    def watched(path: str) -> np.ndarray:
        threads.add(threading.get_ident())
        time.sleep(0.005)
        return decoded(path)

    monkeypatch.setattr(images, "cores", lambda: 4)
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    table = pd.DataFrame({"stimulus_id": [str(i) for i in range(24)]})
    stimuli = StimulusSet.from_files("many", table, [tmp_path / "a.png"] * 24)
    monkeypatch.setattr(images, "decode", watched)
    first = next(iter(stimuli.images()))
    assert first.shape == (4, 4, 3)
    assert len(threads) > 1
    assert threading.get_ident() not in threads
