"""Networks: one file for each. Copy `ststnet` to add another."""
