"""What recognizers look at, one file each: copy `flow` to make another."""
