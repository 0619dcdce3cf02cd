"""How many examples a test gets whose one example costs more, or less, than most."""

from hypothesis import settings

USUAL = 100  # of the profile that `make test` runs under (tests/conftest.py)


def examples(usually: int) -> int:
    """`usually` in `make test`, and as many times that as the profile in force asks for."""
    return usually * settings().max_examples // USUAL
