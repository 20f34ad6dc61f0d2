"""From a plan to shards: render, measure, commit, resume."""
