"""Networks as bare torch modules, without weights or preprocessing."""
