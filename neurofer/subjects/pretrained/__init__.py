"""Networks that others trained, ported to torch, each beside its converter."""
