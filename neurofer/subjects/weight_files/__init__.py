"""Weight files: where they come from, their formats, how they are read and checked."""
