"""Work that is shared out among many machines, by Ray."""
