"""The studio: pages in the browser that move a face by hand, and show a set."""
