"""Sets that are rendered, simulated or drawn here, and the cache of their images."""
