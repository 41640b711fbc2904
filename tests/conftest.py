"""What holds for all tests."""

from hypothesis import settings

# No test may depend on the machine's speed.
settings.register_profile("mailwake", deadline=None)
settings.load_profile("mailwake")
