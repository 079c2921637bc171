"""What runs left behind, read offline: where their time went, and how two of them differ."""
