"""``slither-actors example text_analysis`` as a process, also with a worker killed in the middle."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli.command import Cli, Ran, until
from tests.cli.test_stopping import workers_of

Run = Callable[..., Ran]


def numbers(text: str, pattern: str) -> list[int]:
    """The numbers in the first match of a pattern."""
    found = re.search(pattern, text)
    assert found, text
    return [int(number.replace(",", "")) for number in found.groups()]


SENT = r"([\d,]+) documents sent = ([\d,]+) counted by workers \+ ([\d,]+) without words \+ ([\d,]+) lost"


def test_the_standard_librarys_own_text(cli: Cli) -> None:
    """At least 5,000 real documents go through; every one is counted in a worker, and the books agree."""
    ran = cli("example", "text_analysis", "--no-baseline", "--workers", "2")
    assert ran.status == 0, ran.err
    assert ran.err == ""
    sent, counted, wordless, lost = numbers(ran.out, SENT)
    assert sent == counted + wordless
    assert lost == 0
    assert counted >= 5000
    by_output = [numbers(ran.out, rf"{name} +([\d,]+)\n")[0] for name in ("positive", "negative", "default")]
    assert all(by_output)
    assert sum(by_output) == counted
    workers = re.findall(r"^(\d+) +([\d,]+) +[\d,]+ +[\d,]+$", ran.out, re.MULTILINE)
    assert len(workers) == 2
    assert sum(int(documents.replace(",", "")) for _, documents in workers) == counted
    assert "documents/s" in ran.out
    assert "the books agree" in ran.out


def test_synthetic_documents(cli: Cli) -> None:
    """Slither's 5,000 documents."""
    ran = cli("example", "text_analysis", "--no-baseline", "--synthetic", "--workers", "1")
    assert ran.status == 0, ran.err
    assert numbers(ran.out, SENT) == [5000, 5000, 0, 0]


def test_text_of_the_users(cli: Cli) -> None:
    """Files and folders; a paragraph without a word is told apart from one that was lost."""
    (cli.folder / "texts").mkdir()
    cli.write("texts/a.txt", "It works well.\n\nIt fails badly.\n\n----\n\nA list of things.\n")
    cli.write("b.txt", "Another good one.\n")
    ran = cli("example", "text_analysis", "--no-baseline", "--input", "texts", "b.txt", "--workers", "1")
    assert ran.status == 0, ran.err
    assert numbers(ran.out, SENT) == [5, 4, 1, 0]
    assert numbers(ran.out, r"positive +(\d+)") == [2]
    assert numbers(ran.out, r"negative +(\d+)") == [1]


def test_input_without_documents(cli: Cli) -> None:
    """An error, and no proof about nothing."""
    cli.write("empty.txt", "\n")
    ran = cli("example", "text_analysis", "--no-baseline", "--input", "empty.txt", "--workers", "1")
    assert ran.status == 2
    assert "the paragraphs of empty.txt: there are none; --input" in ran.err


def test_a_killed_worker_costs_one_batch_and_the_report_says_which(cli: Cli) -> None:
    """Killed from outside in the middle of a batch: status 0, the batch and why named, the books agree.

    The second of three batches takes its worker two seconds of processor time, the first one next to none.
    """
    word = "bad "
    huge = (word * 16_000 + "\n") * 2 + "\n"
    cli.write("in.txt", f"{word}\n\n" * 50 + huge * 50 + f"{word}\n\n" * 25)
    process = cli.start("example", "text_analysis", "--no-baseline", "--workers", "1", "--input", "in.txt")
    (worker,) = until(lambda: workers_of(process.pid), "a worker")
    until(lambda: cpu_seconds(worker) > 0.5, "work for the worker")
    os.kill(worker, signal.SIGKILL)
    out, err = (text.decode() for text in process.communicate(timeout=30))
    assert process.returncode == 0, err
    assert numbers(out, SENT) == [125, 75, 0, 50]
    assert "lost: 1 batches with 50 documents" in out
    assert re.search(rf"  batch 1 \(50 documents\): worker {worker} .*died.*SIGKILL", out), out
    books = re.findall(r"^(\d+) +(\d+) +\d+ +\d+$", out, re.MULTILINE)
    assert [documents for _, documents in books] == ["50", "25"]
    assert books[0][0] == str(worker)
    assert "the books agree" in out
    assert "Traceback" not in err


def cpu_seconds(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_a_proof_that_does_not_hold_is_exit_status_one(cli: Cli) -> None:
    """Here the driver forgets a document that came out; nothing else is wrong."""
    script = (
        "import sys\n"
        "from slither_actors.examples.text_analysis._ledger import Ledger\n"
        "deliver = Ledger.deliver\n"
        "def forgetful(ledger, item, seen=[]):\n"
        "    seen.append(1)\n"
        "    if len(seen) != 1234: deliver(ledger, item)\n"
        "Ledger.deliver = forgetful\n"
        "from slither_actors.__main__ import main\n"
        "if __name__ == '__main__': sys.exit(main())\n"
    )
    path = cli.write("forgetful.py", script)
    ran = subprocess.run(
        [sys.executable, path, "example", "text_analysis", "--no-baseline", "--synthetic", "--workers", "1"],
        cwd=cli.folder,
        env=cli.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert "NO   4,999 documents came out = 5,000 counted by workers" in ran.stdout
    assert "THE BOOKS DO NOT AGREE" in ran.stdout


def test_an_interrupted_example_ends_with_the_signals_status(cli: Cli) -> None:
    """No report and no traceback."""
    process = cli.start("example", "text_analysis", "--no-baseline", "--workers", "1")
    (worker,) = until(lambda: workers_of(process.pid), "a worker")
    until(lambda: cpu_seconds(worker) > 0.05, "work for the worker")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert err == b"stopped: SIGINT\n"


def test_a_reader_that_goes_away(cli: Cli) -> None:
    """As for `… | head -0`: status 141 and not a word."""
    process = cli.start("example", "text_analysis", "--no-baseline", "--synthetic", "--workers", "1")
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""


def test_without_a_name_the_examples_are_listed(inside: Run) -> None:
    """With a line about each."""
    ran = inside("example")
    assert ran.status == 0
    assert ran.out.startswith("text_analysis   ")


def test_an_unknown_example(inside: Run) -> None:
    """Named, with those that there are; status 2."""
    ran = inside("example", "text_analysi")
    assert ran.status == 2
    assert "there is no example 'text_analysi'; did you mean 'text_analysis'?" in ran.err
