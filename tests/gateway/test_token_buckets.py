"""The buckets of a process."""

from gateway.token_buckets import TokenBuckets


def test_bucket_holds_its_size_and_refills_evenly() -> None:
    now = 5.0
    buckets = TokenBuckets(60.0, 10, lambda: now)
    for size in (1, 3, 7, 1000):
        for _ in range(size):
            assert buckets.wait_s(size, 1, size) == 0.0
            buckets.take(size, 1, size)
        assert round(buckets.wait_s(size, 1, size), 6) == round(60.0 / size, 6)
    now = 35.0
    assert [round(buckets.left(size, size), 6) for size in (1, 1000)] == [0.5, 500]
    assert round(buckets.wait_s(1000, 600, 1000), 6) == 6.0
    now = 500.0
    assert buckets.left(1000, 1000) == 1000


def test_what_is_put_back_does_not_exceed_the_size() -> None:
    buckets = TokenBuckets(60.0, 10, lambda: 0.0)
    buckets.take("a", 4, 10)
    buckets.take("a", -3, 10)
    assert round(buckets.left("a", 10), 6) == 9
    buckets.take("a", -30, 10)
    assert buckets.left("a", 10) == 10
    assert buckets.wait_s("a", 11, 10) == 6.0


def test_buckets_used_least_recently_are_forgotten() -> None:
    buckets = TokenBuckets(60.0, 3, lambda: 0.0)
    for key in "abc":
        buckets.take(key, 10, 10)
    assert buckets.wait_s("a", 1, 10) == 6.0
    buckets.take("d", 10, 10)
    assert [buckets.left(key, 10) for key in "abcd"] == [0, 10, 0, 0]
