"""The tables of benchmarks/frontier.py, one file each, and what they share."""
