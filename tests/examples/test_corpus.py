"""The documents of the text example."""

import itertools
from pathlib import Path

import pytest

from slither_actors.errors import InputError
from slither_actors.examples.text_analysis._corpus import documents
from slither_actors.examples.text_analysis._source_text import texts_of

SOURCE = '''\
#!/usr/bin/env python
# A block of comments
# of two lines.

"""The docstring
    of the module."""
x = "a value is no document"  # nor is what stands behind code

def f():
    r"""Docstring of f."""
    # inside of f
    return b"no"

class C:
    """Docstring of C."""
    attribute = 1
    "Docstring of an attribute."

    # before a method

    # apart
    def m(self):
        'Docstring of m.'
'''


def test_docstrings_and_blocks_of_comments_are_found(tmp_path: Path) -> None:
    """In the order of the file, with their lines; values and comments behind code are neither."""
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    assert list(texts_of(path)) == [
        (1, "/usr/bin/env python A block of comments of two lines."),
        (5, "The docstring\nof the module."),
        (10, "Docstring of f."),
        (11, "inside of f"),
        (15, "Docstring of C."),
        (17, "Docstring of an attribute."),
        (19, "before a method"),
        (21, "apart"),
        (23, "Docstring of m."),
    ]


def test_the_standard_library_has_thousands_of_documents() -> None:
    """Real text of this very interpreter: at least 5,000 documents of a sensible size, in a fixed order."""
    corpus = documents()
    found = list(itertools.islice(corpus, 5000))
    assert len(found) == corpus.sent == 5000
    assert corpus.files > 100
    assert len({document.source for document in found}) > 0.99 * len(found)
    assert all(len(document.text.split()) >= 8 for document in found)
    assert "asyncio/" in " ".join(document.source for document in found)
    again = [document.source for document in itertools.islice(documents(), 500)]
    assert again == [document.source for document in found[:500]]


def test_the_standard_library_is_read_lazily() -> None:
    """The first document costs no more than the first files."""
    corpus = documents()
    next(iter(corpus))
    assert corpus.files <= 3


def test_an_odd_module_is_passed_over_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken syntax, a wrong encoding, an unreadable file: none of them ends the run."""
    (tmp_path / "fine.py").write_text('"""One two three four five six seven eight."""\n')
    (tmp_path / "short.py").write_text('"""Too short."""\n')
    (tmp_path / "open.py").write_text('"""never closed')
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "claims.py").write_bytes(b"# coding: no-such-code\n")
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "left_out.py").write_text('"""One two three four five six seven eight."""\n')
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path)})
    corpus = documents()
    assert [document.source for document in corpus] == ["fine.py:1"]
    assert corpus.files == 2
    assert sorted(text.partition(":")[0] for text in corpus.passed_over) == [
        "claims.py",
        "dangling.py",
        "latin.py",
        "open.py",
    ]


def test_a_paragraph_of_a_file_is_a_document(tmp_path: Path) -> None:
    """Files of folders in the order of their names; hidden ones are left alone."""
    (tmp_path / "b.txt").write_text("one\ntwo\n\n\n  \nthree")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.md").write_bytes(b"caf\xe9\n")
    (tmp_path / ".hidden").write_text("no")
    corpus = documents([tmp_path])
    assert [(document.source, document.text) for document in corpus] == [
        (f"{tmp_path}/a/z.md:1", "caf\ufffd\n"),
        (f"{tmp_path}/b.txt:1", "one\ntwo\n"),
        (f"{tmp_path}/b.txt:6", "three"),
    ]
    assert corpus.files == 2


def test_what_is_no_text_is_passed_over(tmp_path: Path) -> None:
    """A folder may hold anything."""
    (tmp_path / "image").write_bytes(b"\x89PNG\0\0")
    corpus = documents([tmp_path])
    assert list(corpus) == []
    assert corpus.passed_over == [f"{tmp_path}/image: is not text"]


def test_a_paragraph_without_end_is_cut(tmp_path: Path) -> None:
    """A file without a line costs no more memory than one of pages."""
    path = tmp_path / "flat"
    path.write_text("word " * 50_000)
    sizes = [len(document.text) for document in documents([path])]
    assert sum(sizes) == 250_000
    assert max(sizes) <= 2**17


def test_a_path_that_is_missing_is_said_before_anything_runs(tmp_path: Path) -> None:
    """Named, as an input that is wrong."""
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        documents([tmp_path / "nowhere"])


def test_made_up_documents_are_the_same_everywhere() -> None:
    """Seeded: 5,000 of 16 to 65 words."""
    corpus = documents(synthetic=True)
    texts = [document.text for document in corpus]
    assert len(texts) == corpus.expected == 5000
    lengths = {len(text.split()) for text in texts}
    assert (min(lengths), max(lengths)) == (16, 65)
    assert texts == [document.text for document in documents(synthetic=True)]
