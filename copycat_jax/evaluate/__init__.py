"""Objective measures of prosody transfer, identity and intelligibility."""
