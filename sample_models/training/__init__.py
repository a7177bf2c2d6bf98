"""The scripts that trained the sample models."""
