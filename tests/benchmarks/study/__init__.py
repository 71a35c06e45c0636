"""Studies of the product's choices on drawn markets: ``python -m tests.benchmarks.study NAME``."""
