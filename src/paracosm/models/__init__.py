"""Networks and their mathematics.

Knows no dataset, no optimiser and no server; files only to save and load itself.
"""
