"""Trained weights as durable files."""
