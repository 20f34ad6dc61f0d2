"""What people look at: the gallery and the summary of a set."""
