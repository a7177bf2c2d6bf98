"""What is measured: each file takes a model, data and a protocol, never a recipe."""
