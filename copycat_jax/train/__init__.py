"""The sharded training step, its state, its loop."""
