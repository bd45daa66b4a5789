"""``slither-actors run``: a user's pipe over a file or standard input."""

import os

from tests.cli.command import Cli, until


def test_each_output_is_a_file_also_one_that_nothing_comes_out_of(cli: Cli) -> None:
    """One OUTPUT.jsonl per declared output, "default" included, in the folder that was asked for."""
    cli.write("in.txt", "tiny\na line of some length\nmiddling\n")
    ran = cli("run", "pipes:Sorted", "--input", "in.txt", "--output", "deep/out")
    assert ran.status == 0, ran.err
    assert cli.output("short", "deep/out") == ["tiny"]
    assert cli.output("long", "deep/out") == ["a line of some length"]
    assert cli.output("never", "deep/out") == []
    assert cli.output("default", "deep/out") == ["middling"]


def test_the_current_folder_is_the_default_place_for_outputs(cli: Cli) -> None:
    """Without --output the files are made where the command runs."""
    cli.write("in.txt", "one\n")
    assert cli("run", "pipes:Plain", "--input", "in.txt").status == 0
    assert cli.output(folder=".") == ["one"]


def test_the_summary_is_on_standard_error(cli: Cli) -> None:
    """Counts per output and the rate go to standard error; standard output stays empty."""
    cli.write("in.txt", "a\nlong enough to go\nb\n")
    ran = cli("run", "pipes:Sorted", "--input", "in.txt", "--output", "out")
    assert ran.out == ""
    assert "read 3 items from in.txt, wrote 3" in ran.err
    assert "items/s" in ran.err
    assert "short                      2  out/short.jsonl" in ran.err
    assert "never                      0  out/never.jsonl" in ran.err


def test_no_progress_is_drawn_where_nobody_watches(cli: Cli) -> None:
    """Standard error that is no terminal gets the summary and no bar."""
    cli.write("in.txt", "\n".join(map(str, range(20_000))))
    ran = cli("run", "pipes:Plain", "--input", "in.txt", "--output", "out")
    assert "\r" not in ran.err
    assert "\x1b" not in ran.err


def test_progress_is_drawn_on_a_terminal(cli: Cli) -> None:
    """A terminal on standard error sees how far the run has come."""
    ours, theirs = os.openpty()
    cli.write("in.txt", "\n".join(map(str, range(20_000))))
    process = cli.start("run", "pipes:Plain", "--input", "in.txt", "--output", "out", stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # how a terminal says that the other side is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(10) == 0
    assert b"Plain" in seen.replace(b"pipes:Plain", b"")
    assert b"items" in seen
    assert b"\x1b[" in seen


def test_json_lines_and_rows_are_told_by_the_name_of_the_file(cli: Cli) -> None:
    """.jsonl is JSON, .csv a mapping per row; --format says otherwise."""
    cli.write("in.jsonl", '1\n{"a": [1]}\n')
    cli.write("in.csv", 'name,age\n"Ada\nLovelace",36\n')
    cli("run", "pipes:Plain", "--input", "in.jsonl", "--output", "json")
    cli("run", "pipes:Plain", "--input", "in.csv", "--output", "csv")
    cli("run", "pipes:Plain", "--input", "in.jsonl", "--output", "text", "--format", "lines")
    assert cli.output(folder="json") == [1, {"a": [1]}]
    assert cli.output(folder="csv") == [{"name": "Ada\nLovelace", "age": "36"}]
    assert cli.output(folder="text") == ["1", '{"a": [1]}']


def test_standard_input_is_a_dash(cli: Cli) -> None:
    """Its format has to be said where it is not lines."""
    ran = cli(
        "run", "pipes:Numbers", "--input", "-", "--format", "jsonl", "--output", "out", stdin="1\n2.5\n"
    )
    assert ran.status == 0, ran.err
    assert cli.output() == [2, 5.0]
    assert "from standard input" in ran.err


def test_all_outputs_go_to_standard_output_on_demand(cli: Cli) -> None:
    """--output - makes no file; each line says which output it is of."""
    ran = cli("run", "pipes:Sorted", "--input", "-", "--output", "-", stdin="tiny\nmiddling\n")
    assert sorted(ran.out.splitlines()) == [
        '{"output": "default", "payload": "middling"}',
        '{"output": "short", "payload": "tiny"}',
    ]
    assert sorted(path.name for path in cli.folder.iterdir() if path.is_file()) == ["pipes.py"]


def test_workers_find_the_modules_of_the_current_folder(cli: Cli) -> None:
    """As `python -m` would, and --workers says how many processes there are."""
    cli.write("in.txt", "\n".join(map(str, range(200))))
    ran = cli("run", "pipes:InWorkers", "--input", "in.txt", "--output", "out", "--workers", "2")
    assert ran.status == 0, ran.err
    assert [text for _, text in cli.output()] == list(map(str, range(200)))
    assert len({pid for pid, _ in cli.output()}) in (1, 2)


def test_a_pipe_without_worker_stages_starts_no_workers(cli: Cli) -> None:
    """A pool would cost a process per processor for nothing."""
    cli("run", "pipes:PoolSeen", "--input", "-", "--output", "out", stdin="x\n")
    assert cli.output() == [False]


def test_results_are_on_disk_while_the_input_is_still_open(cli: Cli) -> None:
    """What comes slowly is not held back: a reader of the file sees it."""
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "out")
    process.stdin.write(b"first\nsecond\n")
    process.stdin.flush()
    path = cli.folder / "out" / "default.jsonl"
    until(lambda: path.exists() and path.read_text() == '"first"\n"second"\n', "both lines in the file")
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(10) == 0


def test_only_so_many_items_are_read(cli: Cli) -> None:
    """--limit ends the run in good order, also on an input that has no end."""
    process = cli.start("run", "pipes:Plain", "--input", "/dev/zero", "--limit", "0", "--output", "out")
    assert process.wait(10) == 2
    cli.write("in.txt", "\n".join(map(str, range(1000))))
    assert cli("run", "pipes:Plain", "--input", "in.txt", "--limit", "7", "--output", "out").status == 0
    assert cli.output() == list(map(str, range(7)))


def test_what_stages_skip_is_counted(cli: Cli) -> None:
    """Items that no output has are accounted for in the summary."""
    ran = cli("run", "pipes:Picky", "--input", "-", "--output", "out", stdin="1\n2\n3\n")
    assert ran.status == 0
    assert "2 items skipped by keep" in ran.err


def test_batches_that_fail_under_skip_are_named(cli: Cli) -> None:
    """The run goes on with status 0, and says which batches are missing and why."""
    text = "".join(f"{n}\n" for n in range(20))
    ran = cli("run", "pipes:ExplodingSkipped", "--input", "-", "--output", "out", stdin=text)
    assert ran.status == 0
    assert "20 items skipped by work" in ran.err
    assert "failed: batch 1 of work (10 items): ValueError: boom" in ran.err


def test_text_of_any_kind_is_written(cli: Cli) -> None:
    """Half a surrogate pair cannot be UTF-8; as JSON it is escaped."""
    cli("run", "pipes:Surrogate", "--input", "-", "--output", "out", stdin="x\n")
    assert cli.output() == ["half \ud800 äöü"]
