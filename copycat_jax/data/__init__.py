"""Shards to batches: a batch is a function of (seed, step)."""
