"""Decoding: probes, transfer between conditions, efficiency, consistency of errors."""
