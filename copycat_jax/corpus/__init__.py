"""Speech corpora to shards of stored utterances."""
