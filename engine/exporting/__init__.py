"""A point taken away: files that other programs read, each checked in a fresh process as soon as it is written."""
