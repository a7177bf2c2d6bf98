"""Texts and pictures with their labels, out of folders and tables that somebody brings, in three parts by content."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from engine.errors import InvalidInput, first_line, shown, shown_text
from engine.sources.parting import Example, Parts, few, parted
from engine.sources.upload import opened

if TYPE_CHECKING:
    import pandas as pd

MOST_EXAMPLES = 20_000
MOST_TABLE = 1024**3  # bytes
MOST_PICTURE = 64 * 1024**2  # bytes
MOST_PIXELS = 50_000_000
NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
NUMBERED = re.compile(r"(.+?)-\d+-of-\d+")  # the hub writes train-00000-of-00002.parquet
TEXTS = ("text", "sentence", "content", "review")
LABELS = ("label", "labels", "target", "class", "y")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # pillow's other readers are not for files that nobody vouches for
TABLES = (".csv", ".parquet", ".jsonl", ".ndjson")


def read_texts(data: Path, labelled: bool = True, most: int = MOST_EXAMPLES) -> Parts:
    """The texts of a table, as train, validation and test.

    data        a .csv, .parquet, .jsonl or .ndjson file, or a folder with one of them, or with several of one kind
                whose names begin with train, validation (or valid, val) and test. The text is in the column text,
                sentence, content or review, or in the only column of texts; the label in label, labels, target,
                class or y
    labelled    whether there must be labels; without, each is ""
    most        examples in all; of more, the first in a seeded order are taken, as many of each part as is its share

    A part that is missing gets a fifth of the different texts of train, seeded. A text that stands in two parts stays
    in one of them only, test before validation before train. Raises InvalidInput for anything else.
    """
    found = {part: [e for file in files for e in _rows(file, labelled)] for part, files in _tables(data).items()}
    return parted(few(found, most), data)


def read_pictures(data: Path, most: int = MOST_EXAMPLES) -> Parts:
    """The pictures of a folder, as train, validation and test; the label is the name of the folder that one lies in.

    data    a folder of folders, one for each class, with .png, .jpg, .jpeg, .bmp or .webp files; or a folder with
            such a folder called train, and maybe validation (or valid, val) and test
    most    examples in all, as for texts; parts are made as for texts, by the bytes of the files

    Raises InvalidInput for anything else. The pictures are not decoded here.
    """
    found = few({part: _class_folders(folder) for part, folder in _picture_parts(data).items()}, most).items()
    return parted({part: [Example(e.value, e.label, _hash(e)) for e in examples] for part, examples in found}, data)


def one_picture(data: Path) -> Path:
    """The path of one of the pictures that `read_pictures` would read. Raises InvalidInput as it does."""
    return Path(_class_folders(_picture_parts(data)["train"])[0].value)


def read_picture(path: Path, mode: str = "RGB") -> Image.Image:
    """A picture, turned as its camera says.

    path    a PNG, JPEG, BMP or WebP file of at most MOST_PIXELS pixels, which is checked before it is decoded
    mode    pillow's: "RGB" or "L"

    Raises InvalidInput where it is anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of odd palettes, and reads them
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                if file.width * file.height > MOST_PIXELS:
                    raise Image.DecompressionBombError(str(file.size))
                return _of_eight_bits(ImageOps.exif_transpose(file)).convert(mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        key = "the picture {got} must be at most {most} pixels, got more: make it smaller or leave it out"
        raise InvalidInput(key, got=shown(path.name), most=MOST_PIXELS) from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        key = "the picture {name} must be a PNG, JPEG, BMP or WebP file, got one that cannot be read: {do}"
        raise InvalidInput(key, name=shown(path.name), do="save it again or leave it out") from error


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """The same with 256 levels: pillow would cut those of a PNG of 16 bits off instead of scaling them."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))


def _part_of(name: str) -> str | None:
    numbered = NUMBERED.fullmatch(name)
    return NAMES.get((numbered[1] if numbered else name).lower())


def _inside(folder: Path) -> list[Path]:
    """What a folder holds, sorted, hidden things left out."""
    if not folder.exists():
        raise InvalidInput("the data must exist, got {got}: give a file or a folder", got=shown(folder.name))
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _picture_parts(data: Path) -> dict[str, Path]:
    if data.is_file():
        key = "pictures must lie in a folder with a folder for each class, got the file {got}: give such a folder"
        raise InvalidInput(key, got=shown(data.name))
    parts = {part: path for path in _inside(data) if path.is_dir() and (part := _part_of(path.name))}
    return parts if "train" in parts else {"train": data}


def _class_folders(folder: Path) -> list[Example]:
    found = []
    for path in _inside(folder):
        if path.is_dir():
            files = [file for file in _inside(path) if file.suffix.lower() in PICTURES and file.is_file()]
            found += [Example(str(file), path.name, "") for file in files]
    if not found:
        key = "{got} must hold a folder of pictures ({kinds}) for each class, got none: give such a folder"
        raise InvalidInput(key, got=shown(folder.name), kinds=", ".join(PICTURES))
    return found


def _hash(example: Example) -> str:
    with opened(Path(example.value), MOST_PICTURE) as (file, _):
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tables(data: Path) -> dict[str, list[Path]]:
    """The files of each part that somebody made."""
    if data.is_file():
        return {"train": [data]}
    files = [path for path in _inside(data) if path.suffix.lower() in TABLES and path.is_file()]
    if len(files) == 1:
        return {"train": files}
    parts = {part: [file for file in files if _part_of(file.stem) == part] for part in dict.fromkeys(NAMES.values())}
    if parts["train"] and len({file.suffix.lower() for group in parts.values() for file in group}) == 1:
        return {part: group for part, group in parts.items() if group}
    key = "{name} must hold one table ({kinds}), or tables of one kind called train, validation and test, got {got}"
    got = shown_text(", ".join(file.name for file in files)) or "none"
    raise InvalidInput(key, name=shown(data.name), kinds=", ".join(TABLES), got=got)


def _rows(path: Path, labelled: bool) -> list[Example]:
    frame = _frame(path)
    columns = {str(name).lower(): name for name in reversed(frame.columns)}
    label, text = (next((columns[name] for name in names if name in columns), None) for names in (LABELS, TEXTS))
    strings = [name for name in frame.columns if str(name).lower() not in LABELS and _texts_in(frame[name])]
    text = strings[0] if text is None and len(strings) == 1 else text
    for what, column, names in (("text", text, TEXTS), ("label", label, LABELS)):
        if column is None and (labelled or what == "text"):
            key = "{file} must have a column of {what}s called {names}, got {got}: rename one"
            got = shown_text(", ".join(map(str, frame.columns)))
            raise InvalidInput(key, file=shown(path.name), what=what, names=" or ".join(names), got=got)
    labels = frame[label].tolist() if labelled else [""] * len(frame)
    return [_example(*row, path, labelled) for row in zip(range(1, len(frame) + 1), frame[text], labels, strict=True)]


def _example(row: int, text: object, label: object, path: Path, labelled: bool) -> Example:
    if not isinstance(text, str) or not text.strip():
        key = "row {row} of {file} must hold a text that is not empty, got {got}: fill it or leave the row out"
        raise InvalidInput(key, row=row, file=shown(path.name), got=shown(text))
    # pandas makes floats of whole numbers beside a gap, and some write them so
    name = re.sub(r"^(-?\d+)\.0+$", r"\1", str(label).strip())
    if labelled and (name in ("", "<NA>") or label is None or label != label):  # a NaN differs from itself
        key = "row {row} of {file} must have a label, got none: fill it or leave the row out"
        raise InvalidInput(key, row=row, file=shown(path.name))
    return Example(text, name, text)


def _texts_in(column: pd.Series) -> bool:
    return any(isinstance(value, str) and not re.fullmatch(r"[-+\d.eE]*", value) for value in column.head(100))


def _frame(path: Path) -> pd.DataFrame:
    if path.suffix.lower() not in TABLES:
        key = "the data must be a table ({kinds}) or a folder, got {got}: convert it"
        raise InvalidInput(key, kinds=", ".join(TABLES), got=shown(path.name))
    with opened(path, MOST_TABLE) as (file, _):
        try:
            frame = _read(file, path.suffix.lower())
        except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RecursionError) as error:
            key = "{file} must be a table that can be read, got: {why}; save it again"
            raise InvalidInput(key, file=shown(path.name), why=first_line(error, 90)) from error
    if not len(frame):
        raise InvalidInput("{file} must hold at least one row, got none: add some", file=shown(path.name))
    return frame


def _read(file: io.BufferedReader, suffix: str) -> pd.DataFrame:
    import pandas as pd  # half a second, which only those pay who bring tables

    if suffix == ".csv":  # all as text: "NA" is a word, and 007 no number
        return pd.read_csv(file, dtype=str, keep_default_na=False)
    if suffix == ".parquet":
        frame = pd.read_parquet(file, engine="pyarrow")
        return frame.loc[:, ~frame.columns.duplicated()]
    rows = [json.loads(line) for line in file if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line that is no JSON object")
    return pd.DataFrame(rows)
