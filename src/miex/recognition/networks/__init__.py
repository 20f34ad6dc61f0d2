"""Networks, one file each: copy `ststnet` to make another."""
