"""Properties are tried on 60 cases each; a busy machine must not fail them."""

from hypothesis import settings

settings.register_profile("metrics", deadline=None, max_examples=60)
settings.load_profile("metrics")
