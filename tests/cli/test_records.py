"""`Records`: lines as payloads, broken ones halted at or left out."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors._cli._lines import Line
from slither_actors._cli._records import Records, format_of
from slither_actors.errors import InputError


def records(data: bytes, form: str, **options: Any) -> Records:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    numbered = [Line(number, line) for number, line in enumerate(lines, 1)]
    return Records(numbered, name="in", form=form, **options)


def skipping(data: bytes, form: str) -> tuple[list[Any], list[tuple[int, str]]]:
    skipped = []
    found = list(
        records(data, form, skip=True, on_skip=lambda line, problem: skipped.append((line, problem)))
    )
    return found, skipped


def test_the_format_is_guessed_from_the_name() -> None:
    """Unknown endings, and standard input, are lines."""
    names = ["a.JSONL", "a.ndjson", "a.json", "b.csv", "c.txt", "d", "-"]
    assert [format_of(name) for name in names] == [
        "jsonl",
        "jsonl",
        "jsonl",
        "csv",
        "lines",
        "lines",
        "lines",
    ]


def test_lines_lose_their_ends_and_the_byte_order_mark() -> None:
    """Files from Windows read the same."""
    assert list(records(b"\xef\xbb\xbfone\r\ntwo\n\n \n", "lines")) == ["one", "two", "", " "]


def test_blank_lines_are_no_json() -> None:
    """They are passed over and not counted as broken."""
    found = records(b'1\n\n  \r\n{"a": null}\n', "jsonl")
    assert list(found) == [1, {"a": None}]
    assert (found.read, found.broken) == (2, 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "is not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"1 2", "is not JSON: Extra data at column 3"),
        (b"[" * 200_000, "is not JSON that can be read: "),
        (b"9" * 5000, "is not JSON that can be read: "),
        (b"[NaN]", "is not JSON that can be read: NaN is no JSON value"),
        (b"-Infinity", "is not JSON that can be read: -Infinity is no JSON value"),
        (b'"\xc3"', "is not UTF-8: byte 0xc3 at byte 2 of the line"),
        (None, "is longer than 16 MiB"),
    ],
)
def test_broken_json_says_what_and_where(line: bytes | None, said: str) -> None:
    """Under halt the file and the line are named."""
    found = Records([Line(1, b"0"), Line(2, line)], name="in.jsonl", form="jsonl")
    assert next(found) == 0
    with pytest.raises(InputError) as caught:
        next(found)
    assert str(caught.value).startswith(f"in.jsonl, line 2: {said}")
    assert (caught.value.path, caught.value.line) == ("in.jsonl", 2)


def test_broken_lines_are_left_out_and_told() -> None:
    """Under skip each is counted, with its number and problem."""
    found, skipped = skipping(b"1\n{\n2\n\xff\n3\n", "jsonl")
    assert found == [1, 2, 3]
    assert [line for line, _ in skipped] == [2, 4]


def test_a_row_is_a_mapping_under_the_header() -> None:
    """Blank lines are no rows."""
    found = records(b'\nname,note\n"Ada, Countess","said ""hello"""\n\nBob,\n', "csv")
    assert list(found) == [{"name": "Ada, Countess", "note": 'said "hello"'}, {"name": "Bob", "note": ""}]


@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8),
            min_size=2,
            max_size=2,
        ),
        max_size=6,
    )
)
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    """Quotes, commas and line ends inside of fields included."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["a", "b"], *rows])
    found = records(text.getvalue().encode(), "csv")
    assert [list(row.values()) for row in found] == rows


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        (b"1", 3),  # too few fields
        (b"1,2,3", 3),
        (b'"1"x,2', 3),  # a quote in the middle
        (b'"1,2', 3),  # a quote that is never closed
        (b"\xff,2", 3),
    ],
)
def test_a_broken_row_costs_no_other(broken: bytes, left: int) -> None:
    """A stray quote does not swallow the lines that follow."""
    data = b"a,b\nx,1\n" + broken + b"\ny,2\nz,3\n"
    found, skipped = skipping(data, "csv")
    assert [row["a"] for row in found] == ["x", "y", "z"]
    assert [line for line, _ in skipped] == [3]


def test_a_stray_quote_that_finds_a_partner_costs_no_other_row() -> None:
    """Two of them far apart are two broken lines, not one row of a hundred lines."""
    data = b'a,b\n"x,1\n' + b"y,2\n" * 100 + b'z,"3\n'
    found, skipped = skipping(data, "csv")
    assert len(found) == 100
    assert [line for line, _ in skipped] == [2, 103]


@pytest.mark.parametrize("header", [b"a,a", b"\xff,b", b'"a"x,b'])
def test_a_broken_header_cannot_be_left_out(header: bytes) -> None:
    """Without it no row can be read, so it halts also under skip."""
    with pytest.raises(InputError, match=r"line 1: .*\(the header\)"):
        skipping(header + b"\n1,2\n", "csv")


@pytest.mark.parametrize("form", ["lines", "jsonl", "csv"])
def test_an_empty_input_has_no_payloads(form: str) -> None:
    """And no errors."""
    assert list(records(b"", form)) == []


@given(data=st.binary(max_size=200).map(lambda b: b.translate(bytes(b'a,"\n0\xff{}[]\r ' * 22)[:256])))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever is in a file, every line is a payload or told as broken, and reading ends."""
    for form in ("lines", "jsonl", "csv"):
        taken = 0
        try:
            taken = sum(map(len, skipping(data, form)))
        except InputError as error:
            taken = error.line or 0  # a header that cannot be read
        assert taken <= data.count(b"\n") + 1
