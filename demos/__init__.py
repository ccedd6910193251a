"""Demonstrations that ship with the repository, and the commands that make them."""
