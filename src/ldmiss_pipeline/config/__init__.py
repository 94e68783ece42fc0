"""Params: their schema, their composition from conf/, and the registry of stages and methods."""
