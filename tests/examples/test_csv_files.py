"""CSV files as the examples read them."""

import gzip
from pathlib import Path

import pytest

from slither_actors.errors import InputError
from slither_actors.examples._csv_files import CsvFile, csv_files, number


def read(path: Path, content: str) -> CsvFile:
    path.write_text(content)
    [file] = csv_files("a test", [path])
    return file


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b"), [["1", "2"], ["3", "4"]]),
        ("1,2\n3,4\n", ("column 1", "column 2"), [["1", "2"], ["3", "4"]]),
        ("\n\na b\n\n1  2\n\n", ("a", "b"), [["1", "2"]]),
        ("a;b\n1,5;2\n", ("a", "b"), [["1,5", "2"]]),
        ('\ufeffname\n"x, y"\n', ("name",), [["x, y"]]),
        ("1,2,no,yes\n1,2,0", ("column 1", "column 2", "column 3"), [["1", "2", "0"]]),
    ],
    ids=["header", "numbers only", "spaces", "semicolons", "one column", "as scikit-learn has them"],
)  # fmt: skip
def test_what_is_a_header_and_what_a_row(
    tmp_path: Path, content: str, columns: tuple[str, ...], rows: list[list[str]]
) -> None:
    """The first line is a header unless it is all numbers, or describes the file."""
    file = read(tmp_path / "in.csv", content)
    assert file.columns == columns
    assert [cells for _, cells in file] == rows
    assert [cells for _, cells in file] == rows, "it can be read again"


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Rows and sessions go by the name."""
    path = tmp_path / "in.csv"
    path.write_text("1,2\n")
    assert [file.name for file in csv_files("a test", [path, path])] == ["in.csv", "in.csv (2)"]


def test_a_gzipped_file(tmp_path: Path) -> None:
    """By its name."""
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    [file] = csv_files("a test", [path])
    assert list(file) == [(2, ["1", "2"])]


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "cannot be read: No such file"), ("", "is empty"), ("\n \n", "is empty")]
)
def test_a_file_that_is_none(tmp_path: Path, content: str | None, problem: str) -> None:
    """Missing or empty: an error that names it."""
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=problem):
        csv_files("a test", [path])


def test_a_gzipped_file_that_breaks_off(tmp_path: Path) -> None:
    """The line is named."""
    path = tmp_path / "in.csv.gz"
    path.write_bytes(
        gzip.compress("\n".join(f"{each},{each * each}" for each in range(50_000)).encode())[:-2000]
    )
    [file] = csv_files("a test", [path])
    with pytest.raises(InputError, match=r"in.csv.gz, line [\d,]+: Compressed file ended"):
        list(file)


def test_numbers() -> None:
    """Finite ones."""
    assert [number(cell) for cell in ("1", " 2.5 ", "1e3", "", "x", "nan", "inf")] == [1, 2.5, 1000] + [
        None
    ] * 4
