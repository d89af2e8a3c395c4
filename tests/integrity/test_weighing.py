"""When the index is loaded anew, pure."""

from uuid import uuid4

from modelbus.integrity.domain.index import Standing, Verdict, weigh

EPOCH = uuid4()
SAME = {"model": "aa", "chain": "bb"}
OTHER = {"model": "aa", "chain": "cc"}


def test_equal_digests_are_right_whatever_the_revision() -> None:
    ours, theirs = Standing(EPOCH, 5, SAME), Standing(EPOCH, 9, {**SAME, "supplier": "dd"})

    assert weigh(ours, theirs, differed_at=5) is Verdict.RIGHT


def test_an_index_that_was_never_loaded_is_loaded() -> None:
    assert weigh(Standing(None, 5, SAME), Standing(EPOCH, 9, SAME), differed_at=None) is Verdict.MEND


def test_another_epoch_asks_for_a_snapshot() -> None:
    assert weigh(Standing(uuid4(), 5, SAME), Standing(EPOCH, 9, SAME), differed_at=None) is Verdict.MEND


def test_a_first_difference_waits_for_the_stream() -> None:
    assert weigh(Standing(EPOCH, 5, SAME), Standing(EPOCH, 9, OTHER), differed_at=None) is Verdict.WAIT


def test_a_difference_is_left_to_the_stream_while_it_moves() -> None:
    assert weigh(Standing(EPOCH, 6, SAME), Standing(EPOCH, 9, OTHER), differed_at=5) is Verdict.WAIT


def test_a_difference_that_outlives_a_look_without_progress_is_mended() -> None:
    assert weigh(Standing(EPOCH, 5, SAME), Standing(EPOCH, 9, OTHER), differed_at=5) is Verdict.MEND


def test_a_truth_that_went_back_replaces_what_is_newer() -> None:
    assert weigh(Standing(EPOCH, 12, SAME), Standing(EPOCH, 9, SAME), differed_at=None) is Verdict.REPLACE
