"""What the command line says of wrong options and wrong input: one line, a status, no traceback."""

from collections.abc import Callable

import pytest

from tests.cli.command import Cli, Ran

Run = Callable[..., Ran]

LINES = "".join(f"{n}\n" for n in range(1, 11))


def complaint(ran: Ran) -> str:
    """The error's line; all of standard error has no traceback."""
    assert "Traceback" not in ran.err
    return [line for line in ran.err.splitlines() if line.startswith("slither-actors")][-1]


@pytest.mark.parametrize(
    ("pipe", "said"),
    [
        ("pipes", "write it as module:PipeClass"),
        ("./pipes.py:Plain", "'./pipes.py' is no name of a module; write module:PipeClass"),
        (".pipes:Plain", "modules of the current folder are found by their name alone"),
        ("no_such_module:P", "no module 'no_such_module'"),
        ("no_such.module:P", "no module 'no_such'"),
        ("pipes.py:Plain", "no module 'pipes.py' in the current folder or on the search path; write 'pipes'"),
        ("pipse:Plain", "did you mean 'pipes'?"),
        ("pipes:Plaim", "has no Plaim; did you mean 'Plain'?"),
        ("pipes:NotAPipe", "is the class NotAPipe, not a Pipe"),
        ("pipes:explode", "is a function, not a Pipe"),
        ("raising:P", "importing raising failed: ZeroDivisionError: division by zero"),
        ("syntax:P", "importing syntax failed: SyntaxError"),
        ("leaving:P", "importing leaving failed: SystemExit: 3"),
        ("undeclared:P", "pipe P.split: routes to the output 'b', which is not declared"),
    ],
)
def test_a_pipe_that_cannot_be_had(cli: Cli, inside: Run, pipe: str, said: str) -> None:
    """The error says what was looked for, and where it failed; status 2."""
    cli.write("raising.py", "1 / 0\n")
    cli.write("syntax.py", "def\n")
    cli.write("leaving.py", "raise SystemExit(3)\n")
    cli.write(
        "undeclared.py",
        "from slither_actors import Pipe, router\n"
        "class P(Pipe):\n    outputs = ['a']\n    split = router(b=lambda item: True)\n",
    )
    ran = inside("run", pipe, "--input", "-", "--output", "out")
    assert ran.status == 2
    assert said in complaint(ran)
    assert f"'{pipe}'" in complaint(ran)
    assert not (cli.folder / "out").exists()


def test_a_current_folder_that_is_gone(cli: Cli, inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, status 2."""
    gone = cli.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ran = inside("run", "pipes:Plain", "--input", "-")
    assert ran.status == 2
    assert "the current folder cannot be used: No such file or directory" in complaint(ran)


@pytest.mark.parametrize("command", [["run", "pipes:Plain", "--input", "-"], ["example"]])
def test_too_many_workers(inside: Run, command: list[str]) -> None:
    """Refused before one is started; the most that are taken is said."""
    ran = inside(*command, "--workers", "1025")
    assert ran.status == 2
    assert "--workers: 1,025 processes in a pool are too many; at most 1,024" in ran.err


def test_the_place_of_a_failed_import_is_the_users(cli: Cli, inside: Run) -> None:
    """Not the line in the library that refused a class body."""
    cli.write(
        "undeclared.py",
        "from slither_actors import Pipe, router\n"
        "class P(Pipe):\n    outputs = ['a']\n    split = router(b=lambda item: True)\n",
    )
    assert "undeclared.py, line 2)" in complaint(inside("run", "undeclared:P", "--input", "-"))


def test_a_missing_input(cli: Cli, inside: Run) -> None:
    """Named, with status 2, before any output is touched."""
    kept = cli.write("default.jsonl", "kept\n")
    ran = inside("run", "pipes:Plain", "--input", "nowhere.txt")
    assert ran.status == 2
    assert complaint(ran) == "slither-actors: nowhere.txt: cannot be read: No such file or directory"
    assert kept.read_text() == "kept\n"


def test_a_folder_as_input(inside: Run) -> None:
    """Said so, status 2."""
    ran = inside("run", "pipes:Plain", "--input", ".")
    assert (ran.status, complaint(ran)) == (2, "slither-actors: .: is a folder; give a file")


def test_an_input_that_fails_while_it_is_read(cli: Cli) -> None:
    """The error of the system, with the file's name; a file that may not be opened is the same."""
    ran = cli("run", "pipes:Plain", "--input", "/proc/self/mem", "--output", "out")
    assert ran.status == 2
    assert complaint(ran) == "slither-actors: /proc/self/mem: cannot be read: Input/output error"


def test_closed_standard_input(cli: Cli) -> None:
    """Said so; nothing waits."""
    import subprocess

    shell = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *cli.command, "run", "pipes:Plain", "--input", "-"]
    ran = subprocess.run(
        shell, cwd=cli.folder, env=cli.environment, capture_output=True, timeout=20, check=False
    )
    assert ran.returncode == 2
    assert b"standard input: is closed" in ran.stderr


@pytest.mark.parametrize("output", ["pipes.py", "pipes.py/below", "/proc/nothing"])
def test_a_folder_that_cannot_be_made(inside: Run, output: str) -> None:
    """The folder is named, status 2."""
    ran = inside("run", "pipes:Plain", "--input", "pipes.py", "--output", output)
    assert ran.status == 2
    assert f"the output folder {output} cannot be made" in complaint(ran)


def test_a_file_that_cannot_be_written(cli: Cli, inside: Run) -> None:
    """The file is named, status 2: nothing has run yet."""
    (cli.folder / "out" / "default.jsonl").mkdir(parents=True)
    ran = inside("run", "pipes:Plain", "--input", "pipes.py", "--output", "out")
    assert ran.status == 2
    assert "cannot write out/default.jsonl: Is a directory" in complaint(ran)


def test_the_input_is_not_overwritten(cli: Cli, inside: Run) -> None:
    """An output that is the input would empty it before it is read."""
    path = cli.write("default.jsonl", "1\n2\n")
    ran = inside("run", "pipes:Plain", "--input", str(path))
    assert ran.status == 2
    assert "would overwrite the input" in complaint(ran)
    assert path.read_text() == "1\n2\n"


def test_an_output_that_cannot_be_a_file(cli: Cli) -> None:
    """A name with a slash is refused for a folder, and fine for standard output."""
    ran = cli("run", "pipes:NoFile", "--input", "-", "--output", "out", stdin=LINES)
    assert ran.status == 2
    assert "the output 'a/b' cannot be the name of a file" in complaint(ran)
    assert cli("run", "pipes:NoFile", "--input", "-", "--output", "-", stdin=LINES).status == 0


def test_a_full_disk(cli: Cli) -> None:
    """Status 1 and the file's name; the run does not go on for nothing."""
    (cli.folder / "out").mkdir()
    (cli.folder / "out" / "default.jsonl").symlink_to("/dev/full")
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "out")
    process.stdin.write(b"x\n")
    process.stdin.flush()  # and it stays open: the failure alone ends the run
    assert process.wait(10) == 1
    assert b"cannot write out/default.jsonl: No space left on device" in process.stderr.read()


# -- broken lines --------------------------------------------------------------------


def test_a_broken_line_halts_after_what_precedes_it(cli: Cli) -> None:
    """Also far into a file: the error names the file and line 200,123; all before it is written."""
    cli.write("long.jsonl", b"1\n" * 200_122 + b"{broken\n" + b"2\n" * 9_877)
    ran = cli("run", "pipes:Plain", "--input", "long.jsonl", "--output", "out")
    assert ran.status == 2
    assert complaint(ran).startswith("slither-actors: long.jsonl, line 200,123: is not JSON: ")
    assert (cli.folder / "out" / "default.jsonl").read_bytes() == b"1\n" * 200_122


def test_broken_lines_are_skipped_and_counted(cli: Cli) -> None:
    """With --on-bad-line skip the other lines are all written, and the summary says what is not."""
    cli.write("in.jsonl", b"1\n" * 7_122 + b"{broken\n" + b"2\n" * 50 + b"\xff\n" + b"3\n")
    ran = cli("run", "pipes:Plain", "--input", "in.jsonl", "--output", "out", "--on-bad-line", "skip")
    assert ran.status == 0
    assert "2 broken lines skipped, the first is line 7,123" in ran.err
    assert cli.output() == [1] * 7_122 + [2] * 50 + [3]


def test_a_broken_line_behind_workers_halts_after_what_precedes_it(cli: Cli) -> None:
    """Also the batches that are in flight are finished and written."""
    cli.write("in.txt", b"good\n" * 2345 + b"\xff\xfe\n" + b"good\n" * 5)
    ran = cli("run", "pipes:InWorkers", "--input", "in.txt", "--output", "out", "--workers", "2")
    assert ran.status == 2
    assert "in.txt, line 2,346: is not UTF-8: byte 0xff at byte 1" in complaint(ran)
    assert len(cli.output()) == 2345


def test_a_row_of_other_length(cli: Cli) -> None:
    """Rows are checked against the header."""
    cli.write("in.csv", "a,b\n1,2\n3\n4,5\n")
    ran = cli("run", "pipes:Plain", "--input", "in.csv", "--output", "out")
    assert ran.status == 2
    assert "in.csv, line 3: has 1 fields, the header has 2" in complaint(ran)
    assert cli.output() == [{"a": "1", "b": "2"}]


# -- failing runs --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pipe", "said"),
    [
        ("Failing", "pipe Failing.fail halted: KeyError: 'three'"),
        ("Exploding", "pipe Exploding.work halted: ValueError: boom"),
        ("Fewer", "pipe Fewer.work halted: pipes:fewer returned 9 results for 10 payloads"),
        ("NoSuchFunction", "pipe NoSuchFunction.work halted: a worker cannot import pipes:there_is_none"),
        ("WithBrokenStore", "store BrokenStore did not load: OSError: the database is down"),
    ],
)
def test_a_run_that_fails(cli: Cli, pipe: str, said: str) -> None:
    """Status 1, and one line that names the pipe, the stage and the reason."""
    ran = cli("run", f"pipes:{pipe}", "--input", "-", "--output", "out", "--workers", "1", stdin=LINES)
    assert ran.status == 1
    assert said in complaint(ran)


def test_what_preceded_a_failure_is_written(cli: Cli) -> None:
    """A halt loses nothing that was done."""
    cli("run", "pipes:Failing", "--input", "-", "--output", "out", stdin=LINES)
    assert cli.output() == ["1", "2"]


@pytest.mark.parametrize(
    ("pipe", "said"),
    [
        ("NoJson", "output 'default', item 3: a payload of type set cannot be written as JSON"),
        ("NoNumber", "output 'default', item 1: a payload of type float cannot be written as JSON"),
    ],
)
def test_a_payload_that_is_no_json(cli: Cli, pipe: str, said: str) -> None:
    """Status 1; the error names output, item and type. Nothing is written in its place."""
    ran = cli("run", f"pipes:{pipe}", "--input", "-", "--output", "out", stdin=LINES)
    assert ran.status == 1
    assert said in complaint(ran)
    assert cli.output() == (["1", "2"] if pipe == "NoJson" else [])


def test_the_traceback_is_shown_on_demand(cli: Cli) -> None:
    """--traceback adds it, the line and the status stay."""
    ran = cli("run", "pipes:Failing", "--input", "-", "--output", "out", "--traceback", stdin=LINES)
    assert ran.status == 1
    assert "Traceback (most recent call last)" in ran.err
    assert "KeyError: 'three'" in ran.err.splitlines()[-1]


# -- the command line itself ---------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["walk"],
        ["run"],
        ["run", "pipes:Plain"],
        ["run", "pipes:Plain", "--input", "-", "--workers", "0"],
        ["run", "pipes:Plain", "--input", "-", "--workers", "many"],
        ["run", "pipes:Plain", "--input", "-", "--format", "xml"],
        ["run", "pipes:Plain", "--input", "-", "--on-bad-line", "guess"],
        ["example", "text_analysis", "--synthetic", "--input", "x"],
        ["example", "text_analysi"],
        ["example", "text_analysis", "--input", "nowhere"],
        ["example", "text_analysis", "--all"],
    ],
)
def test_wrong_arguments(inside: Run, arguments: list[str]) -> None:
    """Status 2 and a word about what is wrong."""
    ran = inside(*arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert "slither-actors" in ran.err
    assert "Traceback" not in ran.err


def test_the_version(inside: Run) -> None:
    """--version prints it and nothing else."""
    import slither_actors

    assert inside("--version").out == f"slither-actors {slither_actors.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["example", "--help"]])
def test_help_lists_the_statuses(inside: Run, arguments: list[str]) -> None:
    """What a script needs to know is in the help."""
    ran = inside(*arguments)
    assert ran.status == 0
    assert "130  stopped by SIGINT" in ran.out
    assert "143  stopped by SIGTERM" in ran.out
