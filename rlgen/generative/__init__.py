"""Generative models and the losses that train them; torch and numpy only."""
