"""One profile for all property tests: the same examples each time, and no test is timed."""

from hypothesis import settings

settings.register_profile("toyrd", deadline=None, derandomize=True)
settings.load_profile("toyrd")
