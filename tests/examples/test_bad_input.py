"""Examples on files that are not what they should be: a line that names the file, status 2, and no wait."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from slither_actors.errors import InputError
from slither_actors.examples import ExampleOptions, _files
from slither_actors.examples._csv_files import csv_files, number
from slither_actors.examples._files import check_file, files_below
from slither_actors.examples.batch_stats import _input as batch_stats
from slither_actors.examples.image_pipeline import _baseline as plain_python
from slither_actors.examples.image_pipeline import _thumbnail
from slither_actors.examples.image_pipeline._picture import Picture
from slither_actors.examples.ml_scoring import _input as ml_scoring
from tests.cli.command import Cli, Ran

Run = Callable[..., Ran]

WHOLE = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (each, each * each) for each in range(5000)))


def refused(ran: Ran, *parts: str) -> None:
    assert ran.status == 2, ran.out + ran.err
    assert ran.err.count("\n") == 1
    for part in ("slither-actors: ", *parts):
        assert part in ran.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n\n", "is empty"),
        ("header.csv", b"a,b\n", "has no rows"),
        ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), "null bytes, as UTF-16 and pictures have"),
        ("huge_header.csv", b"a" * 200_000 + b",b\n1,2\n", "field larger than field limit"),
        ("huge_cell.csv", b"a,b\n1,2\n3,4\n" + b"5" * 200_000 + b",6\n", "line 4: field larger"),
        ("no_gzip.csv.gz", b"a,b\n1,2\n", "Not a gzipped file"),
        ("half.csv.gz", WHOLE[: len(WHOLE) // 2], "ended before the end-of-stream"),
        ("broken.csv.gz", WHOLE[:300] + b"\xff" * 100 + WHOLE[400:], "decompressing"),
        ("two\0.csv", None, "null"),
    ],
)
def test_a_file_that_is_no_table(inside: Run, cli: Cli, name: str, content: bytes | None, said: str) -> None:
    """Compressed wrongly, too large a cell, another encoding, nothing in it."""
    if content is not None:
        cli.write(name, content)
    refused(inside("example", "data_etl", "--input", name), name.partition("\0")[0], said)


@pytest.mark.parametrize("example", ["text_analysis", "batch_stats", "data_etl"])
def test_a_pipe_that_nobody_writes_to(inside: Run, cli: Cli, example: str) -> None:
    """It is refused, and not waited for: what it has could be read once only."""
    os.mkfifo(cli.folder / "pipe")
    refused(inside("example", example, "--input", "pipe"), "pipe: cannot be read: it is a pipe or a device")
    refused(inside("baseline", example, "--input", "/dev/zero"), "it is a pipe or a device")


def test_a_folder_where_a_file_is_wanted(inside: Run, cli: Cli) -> None:
    """Tables are named one by one."""
    refused(inside("example", "data_etl", "--input", "."), "Is a directory")


def test_texts_that_are_none(inside: Run, cli: Cli) -> None:
    """Why the first was passed over, and how many more were."""
    (cli.folder / "texts").mkdir()
    cli.write("texts/one.bin", b"\0\1\2")
    cli.write("texts/two.bin", b"\0\1\2")
    ran = inside("example", "text_analysis", "--input", "texts", "--workers", "1")
    refused(ran, "there are none; passed over texts/one.bin: is not text, and 1 more")


def test_what_cannot_be_read_in_a_folder_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason: a pipe, a link to nowhere, a folder of somebody else's. Hidden ones are left out."""
    (tmp_path / "good.txt").write_text("a text")
    (tmp_path / ".hidden").write_text("a text")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "closed").mkdir()
    os.mkfifo(tmp_path / "pipe")
    real = _files._entries

    def entries(folder: Path) -> list[Path]:
        if folder.name == "closed":
            raise InputError(str(folder), "cannot be read: Permission denied")
        return real(folder)

    monkeypatch.setattr(_files, "_entries", entries)
    passed_over: list[str] = []
    assert list(files_below([tmp_path], passed_over)) == [tmp_path / "good.txt"]
    assert [each.partition(": ")[2] for each in passed_over] == [
        "cannot be read: Permission denied",
        "cannot be read: No such file or directory",
        "cannot be read: it is a pipe or a device, and no file",
    ]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with what the system says of it."""
    path = tmp_path / "theirs.csv"
    path.write_text("a,b\n1,2\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"theirs.csv: cannot be read: Permission denied"):
        check_file(path)


def test_numbers_that_cannot_be_reckoned_with() -> None:
    """Sums of their squares would be no numbers."""
    assert [number(cell) for cell in ("1e308", "-inf", "nan", "x", "")] == [None] * 5
    assert [number(cell) for cell in ("1e150", " -2 ", "0")] == [1e150, -2.0, 0.0]


def test_digits_of_other_kinds_are_no_count_of_rows(tmp_path: Path) -> None:
    """As a name of a column they are as good as any."""
    (tmp_path / "in.csv").write_text("²,³,x\n1,2,3\n")
    (found,) = csv_files("data_etl", [tmp_path / "in.csv"])
    assert found.columns == ("²", "³", "x")


def test_tables_without_numbers_or_classes(tmp_path: Path) -> None:
    """Say which of the two is missing."""
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    (tmp_path / "one.csv").write_text("a\n1\n2\n")
    with pytest.raises(InputError, match=r"words.csv: has no column of numbers"):
        batch_stats.datasets(ExampleOptions(paths=(tmp_path / "words.csv",)))
    (one,) = csv_files("ml_scoring", [tmp_path / "one.csv"])
    with pytest.raises(InputError, match="has one column"):
        list(ml_scoring._rows(one))


def test_a_broken_picture_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that share its batch have their thumbnails; the same in plain Python, where it is counted."""

    def opened(picture: Picture) -> None:
        raise OSError(f"{picture.path} is truncated\nin line 7")

    monkeypatch.setattr(_thumbnail, "opened", opened)
    small = [Picture(name=f"made up {number}", width=20, height=10) for number in range(2)]
    bad = Picture(name="bad.png", width=20, height=10, path=Path("bad.png"))
    found = _thumbnail.make_thumbnails([small[0], bad, small[1]])
    assert found[1] == _thumbnail.Broken(picture=bad, reason="bad.png is truncated")
    assert [found[0].picture, found[2].picture] == small
    assert all(isinstance(each, _thumbnail.Thumbnail) for each in (found[0], found[2]))
    for variant in (plain_python.unsafe_threaded, plain_python.safe_python):
        assert variant([*small, bad]).thumbnails == 3


@pytest.mark.parametrize(
    "option", [["--input", "x.csv"], ["--synthetic"], ["--limit", "3"], ["--no-baseline"]]
)
def test_options_without_an_example(inside: Run, option: list[str]) -> None:
    """The list of the examples is no answer to them."""
    refused(inside("example", *option), "which example? Name one of text_analysis, batch_stats, ")
