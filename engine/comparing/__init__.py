"""Measured points beside each other: what differs, which are worth having, and how they are written down."""
