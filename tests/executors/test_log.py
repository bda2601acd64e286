import os

from olivelike.executors.log import KEPT, LogTail


def tail_of(data: bytes) -> tuple[LogTail, str]:
    end, start = os.pipe()
    log = LogTail(os.fdopen(end, "rb"))
    with os.fdopen(start, "wb") as stream:
        stream.write(data)
    return log, log.text(patience=10)


def test_the_last_forty_lines_are_kept() -> None:
    _, text = tail_of(b"".join(b"%d\n" % number for number in range(100_000)))
    assert text.splitlines() == [str(number) for number in range(99_960, 100_000)]


def test_one_endless_line_is_cut() -> None:
    _, text = tail_of(b"x" * (5 * KEPT))
    assert text == "x" * KEPT


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    _, text = tail_of(b"caf\xe9\n")
    assert text == "caf\N{REPLACEMENT CHARACTER}"


def test_a_cleared_log_is_empty() -> None:
    log, _ = tail_of(b"earlier\n")
    log.clear()
    assert log.text() == ""
