"""Sets that a user holds a licence for: cards, copies, indexes, checks."""
