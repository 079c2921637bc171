from copycat_jax.bundle.bundle import Speaker
from copycat_jax.bundle.voices import most_alike


def test_voices_are_ordered_by_the_cosine_of_their_centroids():
    centroids = {"a": (1.0, 0.0), "far": (0.0, 1.0), "near": (2.0, 1.0)}
    speakers = {name: Speaker(centroid, 150.0, 3.0, 1, 1.0) for name, centroid in centroids.items()}
    assert most_alike("a", speakers) == [("near", 0.894), ("far", 0.0)]
