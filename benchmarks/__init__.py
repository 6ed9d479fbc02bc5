"""Measurements of Keyart: how well it chooses, how fast it learns and serves. Run by ``keyart bench``."""
