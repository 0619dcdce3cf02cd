"""Waiting for a moment that is due, for the loads: their latencies count from it."""


def whole_milliseconds(seconds: float) -> float:
    """How long epoll may wait, which waits whole milliseconds and rounds up: the last one is spent awake, with 0.

    Else every push would be sent half a millisecond late in the mean, and that would count as the relay's.
    """
    return max(0.0, int(seconds * 1000) - 0.5) / 1000
