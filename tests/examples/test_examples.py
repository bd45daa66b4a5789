"""Every example through the command line: on made-up input, on real input, and with its proof broken."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from slither_actors.examples import EXAMPLES, ExampleOptions
from slither_actors.item import Item
from tests.cli.command import Cli, Ran

Run = Callable[..., Ran]

needs_sklearn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed"
)
needs_pillow = pytest.mark.skipif(
    importlib.util.find_spec("PIL") is None or importlib.util.find_spec("sklearn") is None,
    reason="scikit-learn or Pillow is not installed",
)


def proven(ran: Ran) -> str:
    assert ran.status == 0, ran.out + ran.err
    assert ran.err == ""
    assert "the proof holds" in ran.out
    found, _, _ = ran.out.partition("baseline of")
    assert "\n  NO " not in found
    return found


# -- made-up input ---------------------------------------------------------------------


def test_all_that_need_only_the_standard_library(cli: Cli) -> None:
    """As people run them: a process of its own in an empty folder, one example after the other."""
    ran = cli("example", "--all", "--limit", "60", "--workers", "2")
    assert ran.status == 0, ran.out + ran.err
    assert ran.err == ""
    assert re.findall(r"^(\w+): ", ran.out, re.MULTILINE) == ["text_analysis", "batch_stats", "data_etl"]
    assert "60 documents sent" in ran.out
    assert ran.out.count("the proof holds") == 2
    assert re.findall(r"^baseline of (\w+): ", ran.out, re.MULTILINE) == [
        "text_analysis",
        "batch_stats",
        "data_etl",
    ]
    assert ran.out.count("safe_python is right") == 3


def test_made_up_rows(inside: Run) -> None:
    """A tenth is invalid, then a fifth, then as many as the schema of the moment says."""
    out = proven(inside("example", "data_etl", "--synthetic", "--limit", "1500", "--workers", "2"))
    assert re.search(r"^schema 1 +500 +450 +50 +500 +0$", out, re.MULTILINE)
    assert re.search(r"^schema 2 +500 +400 +100 +0 +500$", out, re.MULTILINE)
    assert "40 swaps of the schema in the third phase" in out
    assert "each worker's audit log = its own count: 1,500 = 1,500, 1,500 came out" in out


def test_made_up_datasets(inside: Run) -> None:
    """All of Slither's 2,000: poison costs its batch, and where it is kept apart nothing else."""
    out = proven(inside("example", "batch_stats", "--synthetic", "--workers", "2"))
    assert "by group: 2,000 datasets = 1,950 described + 50 skipped, each once" in out
    assert re.search(r"^fixed +1,550 +450 +155 +45 ", out, re.MULTILINE)


def test_made_up_sessions(inside: Run) -> None:
    """Two models in one worker, and no prediction by the wrong one."""
    out = proven(inside("example", "ml_scoring", "--synthetic", "--limit", "200", "--workers", "1"))
    assert re.search(r"^session 1 +(\d+) .*\nsession 2 +\1 ", out, re.MULTILINE), "one worker for both"
    assert "session 2: 0 predictions by another model or in another worker" in out


def test_made_up_pictures(inside: Run) -> None:
    """Huge ones go alone, small ones together."""
    out = proven(inside("example", "image_pipeline", "--synthetic", "--limit", "20", "--workers", "2"))
    assert "20 pictures = 20 thumbnails + 0 broken + 0 without pixels" in out
    assert re.search(r"0 pictures shared a batch of more than 2,000,000 pixels; [1-9]", out)
    assert re.search(r" megapixels in [\d.]+ s: [\d,.]+ megapixels/s$", out, re.MULTILINE)
    assert re.search(r"^worker process .* peak memory\n\d+ .* [\d,]+ MiB$", out, re.MULTILINE)


# -- real input ------------------------------------------------------------------------


@needs_sklearn
def test_the_tables_of_scikit_learn(cli: Cli) -> None:
    """Its CSV files, row by row."""
    out = proven(cli("example", "data_etl", "--no-baseline", "--workers", "2"))
    assert re.search(r"^data_etl: 3,\d\d\d rows of breast_cancer.csv, .*, wine_data.csv$", out, re.MULTILINE)
    assert re.search(r"files say how many rows they have", out)


@needs_sklearn
def test_the_columns_of_scikit_learn(cli: Cli) -> None:
    """Column by column."""
    out = proven(cli("example", "batch_stats", "--no-baseline", "--workers", "2"))
    assert "numeric columns of breast_cancer.csv, " in out


@needs_sklearn
def test_breast_cancer_and_wine(cli: Cli) -> None:
    """Scikit-learn's own models, a session each."""
    out = proven(cli("example", "ml_scoring", "--no-baseline", "--workers", "2"))
    assert re.search(r"breast_cancer.csv: 9\d\.\d% of the records recognised, wanted are 90%", out)
    assert re.search(r"wine_data.csv: 9\d\.\d% of the records recognised, wanted are 90%", out)


@needs_pillow
def test_the_photographs_of_scikit_learn(cli: Cli) -> None:
    """Both of them, and a folder of the user's with something in it that is no picture, and a broken one."""
    proven(cli("example", "image_pipeline", "--limit", "100", "--no-baseline", "--workers", "1"))


@needs_pillow
def test_a_folder_of_pictures(cli: Cli) -> None:
    """What is no picture is passed over; one that breaks off has an output of its own, with the reason."""
    from PIL import Image

    (cli.folder / "pictures" / "more").mkdir(parents=True)
    Image.new("RGB", (300, 200), "red").save(cli.folder / "pictures" / "wide.png")
    Image.new("L", (2, 400)).save(cli.folder / "pictures" / "more" / "tall.png")
    Image.effect_noise((1500, 1400), 50).save(cli.folder / "pictures" / "noise.png")
    whole = (cli.folder / "pictures" / "noise.png").read_bytes()
    cli.write("pictures/noise.png", whole[: len(whole) // 2])
    cli.write("pictures/notes.txt", "no picture")
    out = proven(cli("example", "image_pipeline", "--input", "pictures", "--no-baseline", "--workers", "1"))
    assert "3 pictures of pictures" in out
    assert "1 files passed over\n  pictures/notes.txt: cannot identify image file" in out
    assert re.search(r"^  noise.png: .*truncated", out, re.MULTILINE)
    assert "3 pictures = 2 thumbnails + 1 broken + 0 without pixels" in out


def test_tables_of_the_users(cli: Cli, inside: Run) -> None:
    """A cell that is no number among numbers is an invalid row, and a poison column."""
    rows = "\n".join(f"{each},{each * each},n{each}" for each in range(40))
    cli.write("in.csv", f"a,b,c\n{rows}\nx,1,y\n")
    out = proven(inside("example", "data_etl", "--input", "in.csv", "--no-baseline", "--workers", "1"))
    assert re.search(r"^schema 1 +41 +40 +1 ", out, re.MULTILINE)
    out = proven(inside("example", "batch_stats", "--input", "in.csv", "--no-baseline", "--workers", "1"))
    assert "by group: all 1 poison ones are skipped, by 1 batches that failed for one" in out


# -- what is wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data_etl", "batch_stats", "ml_scoring", "image_pipeline"])
def test_a_package_that_is_missing(inside: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What to install, and what works without it; status 2."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ran = inside("example", name)
    assert ran.status == 2
    package = "Pillow" if name == "image_pipeline" else "scikit-learn"
    assert ran.err == (
        f"slither-actors: {name}: this input needs {package}, which is not installed:"
        f" pip install {package.lower()} (or the extra 'examples' of slither-actors);"
        " --synthetic needs nothing\n"
    )


@pytest.mark.parametrize("name", ["data_etl", "batch_stats"])
def test_input_that_is_not_there(inside: Run, name: str) -> None:
    """Named; status 2."""
    ran = inside("example", name, "--input", "nowhere.csv")
    assert ran.status == 2
    assert "nowhere.csv: cannot be read: No such file or directory" in ran.err


def test_all_takes_no_name_and_no_input(inside: Run) -> None:
    """It runs several examples."""
    assert inside("example", "--all", "data_etl").status == 2
    ran = inside("example", "--all", "--input", "x")
    assert ran.status == 2
    assert "--input needs a NAME" in ran.err


# -- proofs that do not hold -----------------------------------------------------------


def forget(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, which: int = 7) -> None:
    """Have a method do nothing, once."""
    real = getattr(owner, method)
    calls = iter(range(10**9))

    def forgetful(*arguments: Any, **keywords: Any) -> Any:
        return None if next(calls) == which else real(*arguments, **keywords)

    monkeypatch.setattr(owner, method, forgetful)


def broken(ran: Ran, *sentences: str) -> None:
    assert ran.status == 1, ran.out + ran.err
    assert "THE PROOF DOES NOT HOLD" in ran.out
    untrue = re.findall(r"^  NO   (.*)$", ran.out, re.MULTILINE)
    assert len(untrue) == len(sentences), untrue
    for found, sentence in zip(untrue, sentences, strict=True):
        assert sentence in found


def test_a_row_that_is_forgotten(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 1, and the sentence that is not so."""
    from slither_actors.examples.data_etl._run import PhaseBook

    forget(monkeypatch, PhaseBook, "enter")
    ran = inside("example", "data_etl", "--synthetic", "--limit", "300", "--workers", "1", "--no-baseline")
    broken(ran, "schema 1: 100 rows = 90 valid + 9 invalid", "schema 1: 9 invalid, 10 in the input")


def test_a_row_judged_by_another_schema(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the schema is swapped while the driver believes that it is not."""
    from slither_actors.examples.data_etl import _input

    real = _input._made_up

    def wrong(per_phase: int) -> Any:
        source = real(per_phase)
        old, new = source.schemas
        worse = {key: attrs.evolve(rule, version=2) for key, rule in old.items()}
        return attrs.evolve(source, schemas=(old, worse), known_invalid=source.known_invalid)

    monkeypatch.setattr(_input, "_made_up", wrong)
    ran = inside("example", "data_etl", "--synthetic", "--limit", "300", "--workers", "1", "--no-baseline")
    broken(ran, "schema 2: 10 invalid, 20 in the input")


def test_a_row_that_met_a_half_swapped_schema() -> None:
    """Rules of two versions at one time are told apart from a swap between two batches."""
    from slither_actors.examples.data_etl._input import source_of
    from slither_actors.examples.data_etl._pipe import Clean
    from slither_actors.examples.data_etl._run import PhaseBook
    from slither_actors.examples.data_etl._validate import Verdict

    source = source_of(ExampleOptions(synthetic=True, limit=60))
    row = next(source.rows(0))
    book = PhaseBook()
    for versions in ({1}, {2}, {1, 2}):
        verdict = Verdict(row=row, problems=[], versions=frozenset(versions), worker=1, validated=1)
        book.enter(Clean(verdict=verdict, values={}), "default", source)
    assert book.mixed == 1


def test_a_dataset_that_is_forgotten(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is missed, and so are its values among those of the workers."""
    from slither_actors.examples.batch_stats._input import datasets
    from slither_actors.examples.batch_stats._run import Book

    _, found = datasets(ExampleOptions(synthetic=True, limit=100))
    poisoned = {index // 10 for index, dataset in enumerate(found) if dataset.is_poison()}
    # Not the first of its batch, with which the tally of the batch comes.
    victim = next(index for index in range(100) if index // 10 not in poisoned and index % 10)
    real = Book.enter
    seen: list[int] = []

    def forgetful(book: Book, item: Item, index: int) -> None:
        seen.append(index)
        if index != victim or seen.count(victim) > 1:
            real(book, item, index)

    monkeypatch.setattr(Book, "enter", forgetful)
    ran = inside("example", "batch_stats", "--synthetic", "--limit", "100", "--workers", "1", "--no-baseline")
    broken(ran, "fixed: 100 datasets =", "fixed: the workers' aggregates merged")


def test_a_prediction_of_the_wrong_session(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the second session had scored with the first one's samples in mind."""
    from slither_actors.examples.ml_scoring import _input

    real = _input._made_up

    def wrong(count: int) -> Any:
        first, second = real(count)
        return [first, attrs.evolve(second, samples=first.samples)]

    monkeypatch.setattr(_input, "_made_up", wrong)
    ran = inside("example", "ml_scoring", "--synthetic", "--limit", "100", "--workers", "1", "--no-baseline")
    broken(ran, "of the records recognised, wanted are 90%")


def test_a_picture_that_is_forgotten(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is missed."""
    from slither_actors.examples.image_pipeline._run import Book

    forget(monkeypatch, Book, "enter")
    ran = inside(
        "example", "image_pipeline", "--synthetic", "--limit", "10", "--workers", "1", "--no-baseline"
    )
    broken(ran, "10 pictures = 9 thumbnails")


def test_an_installed_package_has_the_examples_in_it() -> None:
    """They are modules of it and no files beside it, so a wheel is enough."""
    for example in EXAMPLES.values():
        spec = importlib.util.find_spec(f"{example.package}._run")
        assert spec is not None
        assert spec.origin is not None
        assert "slither_actors" in Path(spec.origin).parts
    assert sys.modules["slither_actors.examples"].__doc__
