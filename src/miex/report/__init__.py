"""Reports for people: the gallery and the dataset card of a set."""
