"""Side-by-side timings against what users would otherwise run; see README.md. Run `python -m benchmarks.train_step`."""
