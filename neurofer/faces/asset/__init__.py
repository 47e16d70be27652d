"""The head asset and the script that builds it."""
