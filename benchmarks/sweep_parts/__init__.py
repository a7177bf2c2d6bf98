"""What sweep_against_notebook and growth are made of."""
