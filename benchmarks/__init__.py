"""What is compared, how, and on which machine; every run is kept in README.md."""
