"""What can be measured on frames and fields."""
