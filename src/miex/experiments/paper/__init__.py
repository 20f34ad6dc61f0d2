"""The tables and figures of Liu et al. 2022 (MiE-X) as data: what is trained on what, and what the paper prints."""
