"""How hard hypothesis tries.

| profile | for                     | what is special                                                                  |
|---------|-------------------------|----------------------------------------------------------------------------------|
| house   | `make test`             | no deadline: the machine is shared, and our time is virtual anyway               |
| mutants | `make mutants`          | the same examples on every run, nothing remembered, no time spent on shrinking   |
| soak    | `make soak`             | fifty times the examples, also of tests with a number of their own (effort.py)   |
"""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "mutants",
    parent=settings.get_profile("house"),
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.target],
)
settings.register_profile("soak", parent=settings.get_profile("house"), max_examples=5000)
settings.load_profile("house")
