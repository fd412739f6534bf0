"""Whole pipelines as Python functions: a recipe returns configs, a variant replaces a few of their values."""
