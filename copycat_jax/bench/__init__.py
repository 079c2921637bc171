"""Throughput as a benchmark."""
