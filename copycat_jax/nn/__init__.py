"""Leaf layers that know nothing of papers."""
