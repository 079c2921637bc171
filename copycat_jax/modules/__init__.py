"""Speech blocks shared by the models."""
