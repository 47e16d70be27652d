"""Representational dissimilarity matrices: how they are made and compared."""
