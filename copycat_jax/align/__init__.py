"""Where every phone lies in its recording."""
