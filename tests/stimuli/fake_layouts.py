"""Tiny folders in the exact layouts of the licensed sets, with pictures of nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

LONG_AGO = 1.6e9  # a file whose time can be relied on was not written just now


def picture(number: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Return an image of width and height that no other number has."""
    rng = np.random.default_rng(number)
    few = rng.integers(64, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(few).resize(size, Image.Resampling.NEAREST).convert(mode)


def draw(
    folder: Path, names: list[str], size: tuple[int, int], mode: str = "RGB", first: int = 0
) -> None:
    for number, name in zip(count(first), names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, size, mode).save(path)
        os.utime(path, (LONG_AGO, LONG_AGO))


def kdef(folder: Path) -> None:
    names = ["AF01AFS", "AF01NEFL", "AF01HAHL", "BM02SUHR", "BM02ANFR"]
    draw(folder, [f"KDEF/{name[:4]}/{name}.JPG" for name in names], (562, 762))
    (folder / "KDEF" / "AF01" / "Thumbs.db").write_bytes(b"no image")


def ferg(folder: Path) -> None:
    names = ["aia/aia_anger/aia_anger_1", "aia/aia_joy/aia_joy_12", "ray/ray_neutral/ray_neutral_3"]
    draw(folder, [f"FERG_DB_256/{name}.png" for name in names], (256, 256), "RGBA")
    (folder / "FERG_DB_256" / "README.txt").write_text("who made it")
    (folder / "FERG_DB_256" / ".DS_Store").write_bytes(b"\0")


def lfw(folder: Path) -> None:
    names = ["Ann_Lee/Ann_Lee_0001", "Ann_Lee/Ann_Lee_0002", "Bo_Yi/Bo_Yi_0001", "Cy/Cy_0001"]
    draw(folder, [f"lfw/{name}.jpg" for name in names], (250, 250))
    (folder / "pairsDevTrain.txt").write_text("1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Yi\t1\n")
    (folder / "pairs.txt").write_text(
        "2\t1\nAnn_Lee\t1\t2\nAnn_Lee\t2\tCy\t1\nAnn_Lee\t2\t1\nBo_Yi\t1\tCy\t1\n"
    )


def vggface2(folder: Path) -> None:
    names = ["train/n000002/0001_01", "train/n000002/0317_02", "test/n000001/0001_01"]
    draw(folder, [f"{name}.jpg" for name in names], (30, 40))
    (folder / "train_list.txt").write_text("n000002/0001_01.jpg\nn000002/0317_02.jpg\n")
    (folder / "identity_meta.csv").write_text(
        "Class_ID, Name, Sample_Num, Flag, Gender\n"
        'n000001, "Dalai_Lama", 424, 0, m\nn000002, "A, Fine", 315, 1, f\n'
    )


def celeba(folder: Path) -> None:
    draw(folder, [f"img_align_celeba/{n:06d}.jpg" for n in (1, 2, 3)], (178, 218))
    (folder / "identity_CelebA.txt").write_text("000001.jpg 28\n000002.jpg 5\n000003.jpg 28\n")
    (folder / "list_eval_partition.csv").write_text(
        "image_id,partition\n000001.jpg,0\n000002.jpg,2\n000003.jpg,0\n"
    )


def affectnet(folder: Path) -> None:
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal\n"
    )
    lists = folder / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    row = "{},10,10,100,100,1.5;2.5;3.5,{},{},{}\n"
    (lists / "training.csv").write_text(
        head
        + row.format("1/aa.jpg", 1, 0.75, 0.25)
        + row.format("1/ab.jpg", 10, -2, -2)
        + row.format("2/ba.jpg", 8, 0.125, -0.5)
    )
    (lists / "validation.csv").write_text(head + row.format("2/bb.jpg", 7, -0.5, 0.5))
    names = ["1/aa", "1/ab", "2/ba", "2/bb"]
    draw(folder, [f"Manually_Annotated_Images/{name}.jpg" for name in names], (32, 32))


def affectnet_npy(folder: Path) -> None:
    # Numbers as strings and as numbers: both are handed out.
    rows = [("train_set", "7", "1", "0.75", "0.25"), ("train_set", "8", 6, -2.0, -2.0)]
    rows += [("val_set", "7", "0", "-0.5", "0.5")]
    for part, name, *values in rows:
        (folder / part / "annotations").mkdir(parents=True, exist_ok=True)
        for key, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(folder / part / "annotations" / f"{name}_{key}.npy", np.array(value))
        np.save(folder / part / "annotations" / f"{name}_lnd.npy", np.zeros(136))
    draw(folder, [f"{part}/images/{name}.jpg" for part, name, *_ in rows], (32, 32))


def _grey(number: int) -> str:
    return " ".join(map(str, np.asarray(picture(number, (48, 48), "L")).ravel()))


def fer2013(folder: Path) -> None:
    usages = ["Training", "Training", "PublicTest", "PrivateTest"]
    lines = [f"{e},{_grey(e)},{u}\n" for e, u in zip((0, 3, 6, 2), usages, strict=True)]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(lines))


def ferplus(folder: Path) -> None:
    usages = ["Training", "Training", "Training", "Training", "PublicTest", "PrivateTest"]
    lines = [f"{e},{_grey(e)},{u}\n" for e, u in enumerate(usages)]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(lines))
    names = ["fer0000000.png", "", "fer0000002.png", "fer0000003.png"]
    names += ["fer0000004.png", "fer0000005.png"]
    votes = ["0,9,0,0,0,0,0,1,0,0", "0,0,0,0,0,0,0,0,0,10", "4,0,0,4,0,0,0,0,2,0"]
    votes += ["0,0,0,0,0,0,0,0,8,2", "0,0,2,0,0,0,8,0,0,0", "4,0,0,0,0,0,0,0,4,2"]
    rows = [f"{u},{n},{v}\n" for u, n, v in zip(usages, names, votes, strict=True)]
    (folder / "fer2013new.csv").write_text(
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"
        "unknown,NF\n" + "".join(rows)
    )


def ferplus_png(folder: Path) -> None:
    votes = {"Train": ["0,9,0,0,0,0,0,1,0,0", "0,0,0,0,0,0,0,0,8,2"], "Valid": [], "Test": []}
    votes["Valid"].append("0,0,2,0,0,0,8,0,0,0")
    for number, (part, rows) in enumerate(votes.items()):
        names = [f"fer{4 * number + i:07d}.png" for i in range(len(rows))]
        draw(folder / f"FER2013{part}", names, (48, 48), "L", first=10 * number)
        (folder / f"FER2013{part}").mkdir(exist_ok=True)
        lines = [f'{n},"(0, 0, 48, 48)",{v}\n' for n, v in zip(names, rows, strict=True)]
        (folder / f"FER2013{part}" / "label.csv").write_text("".join(lines))


def jaffe(folder: Path) -> None:
    names = ["KA.AN1.39", "KA.NE2.27", "YM.SU3.62"]
    draw(folder, [f"jaffe/{name}.tiff" for name in names], (256, 256), "L")
    (folder / "jaffe" / "README").write_text("who made it")


def emoreact(folder: Path) -> None:
    import cv2

    clips = {"Train": ("train", ["A1_1", "B2_1"]), "Validation": ("val", ["C3_1"])}
    clips["Test"] = ("test", ["D4_1"])
    labels = iter(["1,0,0,1,0,0,0,0,7", "0,0,0,0,0,1,0,0,1", "0,0,1,0,0,0,0,0,4"])
    for number, (part, (split, names)) in enumerate(clips.items()):
        for folder_name in ("Data/" + part, "Labels"):
            (folder / folder_name).mkdir(parents=True, exist_ok=True)
        lines = [next(labels, "0,1,0,0,0,0,1,1,2.5") for _ in names]
        (folder / f"Labels/{split}_names.txt").write_text("".join(f"{n}.mp4\n" for n in names))
        (folder / f"Labels/{split}_labels.text").write_text("\n".join(lines) + "\n")
        for i, name in enumerate(names):
            path = str(folder / "Data" / part / f"{name}.mp4")
            writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 8, (64, 48))
            for frame in range(12):  # a second and a half
                writer.write(np.asarray(picture(100 * number + 20 * i + frame, (64, 48))))
            writer.release()


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "kdef": kdef,
    "ferg": ferg,
    "lfw": lfw,
    "vggface2": vggface2,
    "celeba": celeba,
    "affectnet": affectnet,
    "affectnet-npy": affectnet_npy,
    "fer2013": fer2013,
    "ferplus": ferplus,
    "ferplus-png": ferplus_png,
    "jaffe": jaffe,
    "emoreact": emoreact,
}


def fake_layout(card: str, folder: Path) -> Path:
    """Make a tiny copy of a card's set; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    LAYOUTS[card](folder)
    return folder
