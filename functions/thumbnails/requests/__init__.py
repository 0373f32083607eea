"""What may be asked for: the shapes of a request, every check on it, and the events that carry one."""
